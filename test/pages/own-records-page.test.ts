// The page that shows users what was asked in their name: what it shows, what it must not tell, and its pages.
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { createAuditReading } from "../../src/audit-reading/audit-reading.ts";
import { createWithAudit } from "../../src/audit/audit.ts";
import { openAuditRecordStore } from "../../src/audit/audit-record-store.ts";
import { newId } from "../../src/lib/ids.ts";
import { createOwnRecordsRoutes } from "../../src/pages/own-records-page.tsx";
import { createBrowserSessionStore } from "../../src/sign-in/browser-session-store.ts";
import { createBrowserSessions } from "../../src/sign-in/browser-session.ts";
import { sealChain } from "../audit/stored-records.ts";
import type { CallOptions } from "../audit/stored-records.ts";
import { accessTokens, ledgerOf, members } from "../support/members.ts";
import sample from "../../sample/gatehouse.config.ts";

const ORIGIN = "https://gatehouse.example.com";
const HOSTILE = "\u202e</bdi><script>alert(1)</script>";
const records = openAuditRecordStore(env.GATEHOUSE_DB);
const { policy, organisation } = sample;

/** Opens the page of a new user with these records. */
async function openPage(calls: readonly CallOptions[]) {
  const subjectId = newId();
  await records.append(subjectId, sealChain(subjectId, calls));
  const sessions = createBrowserSessions({
    store: createBrowserSessionStore(env.GATEHOUSE_DB),
    idleSeconds: 600,
    maxSeconds: 600,
    now: () => 1_700_000_000_000,
  });
  const cookie =
    (await sessions.begin({ subjectId, email: "guest@harbor.example", groups: [] })).getSetCookie()[0] ?? "";
  const app = createOwnRecordsRoutes({
    sessions,
    organisation: "Example Ltd",
    auditReading: createAuditReading({
      withAudit: createWithAudit({ policy, openLedger: ledgerOf, newId, waitUntil: () => {} }),
      policy,
      organisation,
      auditRecords: records,
      members,
      pats: accessTokens,
      findClientNames: async () => new Map([["hostile", HOSTILE]]),
      now: Date.now,
    }),
  });
  const open = async (path = "/records", headers = { cookie: cookie.split(";")[0] ?? "" }) => {
    const response = await app.request(`${ORIGIN}${path}`, { headers });
    return { status: response.status, html: await response.text(), location: response.headers.get("location") };
  };
  return { open, subjectId };
}

/** Lists the rows of the page, as text. */
function listRows(html: string): readonly string[] {
  const [, list = ""] = /<ul class="rows">(.*)<\/ul>/s.exec(html) ?? [];
  return list
    .split("</li>")
    .slice(0, -1)
    .map((row) =>
      row
        .replaceAll(/<[^>]+>/g, " ")
        .replaceAll(/\s+/g, " ")
        .trim(),
    );
}

const refused = (result: "denied" | "failed"): CallOptions => ({
  attempt: { asked: "shop: SELECT * FROM salaries", resource: "shop" },
  outcome: {
    result,
    code: "query_refused",
    datasets: [],
    rows: 0,
    rules: ["a rule"],
    denials: ["shop.salaries: no_rule"],
  },
});

describe("the page of a user's own records", () => {
  it("says that there is nothing yet, and when records arrive", async () => {
    const { html, status } = await (await openPage([])).open();
    expect(status).toBe(200);
    expect(html).toContain("There is nothing here yet.");
    expect(html).toContain("about ten seconds after it");
    expect(html).not.toContain('rel="next"');
  });

  it("shows time with zone, client, action, what was asked, outcome and rows", async () => {
    const { open } = await openPage([
      { attempt: { asked: "shop: SELECT ?\nFROM orders", resource: "shop" }, outcome: { cut: true } },
      { attempt: { operation: "describe", asked: "", clientId: "start page" }, outcome: { rows: 0 } },
    ]);
    const { html } = await open();
    expect(listRows(html)).toEqual([
      "Describe 27 November 2026 at 10:01 UTC , by the start page of this server Answered",
      "Query shop 27 November 2026 at 10:00 UTC , by c shop: SELECT ? FROM orders Answered, 3 rows, and there were more",
    ]);
    expect(html).toContain("SELECT ?\nFROM orders");
    expect(html).not.toContain("<script");
  });

  it("shows a denied request like one for a table that does not exist, without rules and denials", async () => {
    const pages = [refused("denied"), refused("failed")].map(
      async (call) => (await (await openPage([call])).open()).html,
    );
    const [denied = "", failed = ""] = await Promise.all(pages);
    expect(listRows(denied)).toEqual(listRows(failed));
    expect(listRows(denied)).toEqual([expect.stringContaining("Refused: a query of this form is not run")]);
    expect(denied).not.toMatch(/a rule|no_rule|denied/);
  });

  it("does not show what an admin wrote about the user", async () => {
    const asked = JSON.stringify({ by: "admin@x.example", roles: ["analyst"], attributes: ["region"] });
    const { open } = await openPage([{ attempt: { operation: "member changed", clientId: "", asked } }]);
    const { html } = await open();
    expect(listRows(html)).toEqual([expect.stringMatching(/^Member changed .*, by this server Answered/)]);
    expect(html).not.toContain("admin@x.example");
  });

  it("does not say that a client asked for its own pause, nor what the operator wrote", async () => {
    const asked = JSON.stringify({ by: "operator", kind: "client", target: "c", reason: "checking", until: null });
    const { open } = await openPage([{ attempt: { operation: "pause access", clientId: "c", asked } }]);
    const { html } = await open();
    expect(listRows(html)).toEqual([expect.stringMatching(/^Pause access .*, by this server Answered/)]);
    expect(html).not.toContain("checking");
  });

  it("escapes names and texts, and shows invisible characters as code points", async () => {
    const { open } = await openPage([
      { attempt: { clientId: "hostile", asked: HOSTILE, resource: HOSTILE, operation: HOSTILE } },
    ]);
    const { html } = await open();
    expect(html).not.toContain("<script");
    expect(html).not.toContain("\u202e");
    expect(html).toContain("U+202E&lt;/bdi&gt;&lt;script&gt;alert(1)");
  });

  it("shows long texts cut, so that a full page stays small", async () => {
    const { open } = await openPage(
      Array.from({ length: 30 }, () => ({ attempt: { asked: `shop: ${"x".repeat(4000)}` } })),
    );
    const { html } = await open();
    expect(listRows(html)).toHaveLength(25);
    expect(html.length).toBeLessThan(50_000);
  });

  it("leads to older and newer pages, and never shows another user's records", async () => {
    await openPage([{ attempt: { asked: "of another user" } }]);
    const { open } = await openPage(
      Array.from({ length: 60 }, (_, index) => ({ attempt: { asked: `call ${index};` } })),
    );
    const follow = (html: string, rel: string): string =>
      new RegExp(`rel="${rel}" href="([^"]+)"`).exec(html)?.[1]?.replaceAll("&amp;", "&") ?? "";
    const listCalls = (html: string): readonly number[] =>
      [...html.matchAll(/call (\d+);/g)].map(([, call]) => Number(call));
    const count = (from: number, to: number): readonly number[] =>
      Array.from({ length: from - to + 1 }, (_, index) => from - index);
    const first = (await open()).html;
    const second = (await open(follow(first, "next"))).html;
    const third = (await open(follow(second, "next"))).html;
    expect([first, second, third].map(listCalls)).toEqual([count(59, 35), count(34, 10), count(9, 0)]);
    expect([follow(first, "prev"), follow(third, "next")]).toEqual(["", ""]);
    const back = (await open(follow(third, "prev"))).html;
    expect(listCalls(back)).toEqual(count(34, 10));
    const front = (await open(follow(back, "prev"))).html;
    expect(listCalls(front)).toEqual(count(59, 35));
    expect(follow(front, "prev")).toBe("");
    for (const path of ["/records?after=zzzzzzzz.zz", "/records?before=1.1", "/records?user=x&ledger=y"])
      expect((await open(path)).html).not.toContain("of another user");
  });

  it("is no page for a cursor of another form", async () => {
    const { status, html } = await (await openPage([])).open("/records?after=%3Cscript%3E");
    expect(status).toBe(400);
    expect(html).not.toContain("<script");
  });

  it("is refused to a user whom an operator has paused, in the operator's words", async () => {
    const { open, subjectId } = await openPage([{ attempt: { asked: "SELECT ?" } }]);
    expect((await open()).status).toBe(200);
    const reason = "We are checking a report.";
    const pause = {
      kind: "user",
      target: "guest@harbor.example",
      reason,
      untilMs: null,
      changedBy: "operator",
    } as const;
    await ledgerOf(subjectId).applyPauses({ version: Date.now(), pauses: [{ ...pause, version: Date.now() }] });
    const { status, html } = await open();
    expect(status).toBe(403);
    expect(html).toContain(reason);
    expect(html).not.toContain("SELECT ?");
  });

  it("sends a user who is not signed in to the sign-in", async () => {
    const { open } = await openPage([{ attempt: { asked: "private" } }]);
    const { status, location, html } = await open("/records", { cookie: "" });
    expect([status, location]).toEqual([302, expect.stringContaining("/sign-in?")]);
    expect(html).not.toContain("private");
  });
});
