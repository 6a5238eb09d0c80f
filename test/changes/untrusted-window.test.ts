// After text of outsiders has reached a user's assistant, no change of the user is applied without a person, whichever way the text came,
// and whatever an assistant tries that obeys instructions in it.
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { personAt } from "../support/browser.ts";
import { startDeployment } from "../support/change-deployment.ts";
import { allowChange } from "../support/change-rules.ts";
import { ERAS, callTool } from "../support/change-scenario.ts";
import type { Era } from "../support/change-scenario.ts";
import {
  STOCK_RULES,
  buildStockPolicy,
  personOf,
  readCell,
  readStock,
  registerStockUsers,
  seedStock,
} from "../support/change-stock.ts";
import { buildPost2026 } from "../support/mcp-requests.ts";
import { ledgerOf } from "../support/members.ts";
import { ORIGIN, tokenOf } from "../support/worker.ts";

const config = buildStockPolicy([
  STOCK_RULES.none,
  allowChange("shop.letters", { columns: { stamp: {} }, approval: "none" }),
]);
const deployment = startDeployment(config);
const WINDOW_MS = config.limits.untrustedWindowSeconds * 1000;
const READ = { source: "shop", sql: "SELECT body FROM letters" } as const;

let token = "";
let pat = "";
let otherPat = "";
let subjectId = "";

const flag = async (sql: string): Promise<unknown> =>
  runInDurableObject(ledgerOf(subjectId), (_object: unknown, { storage }) => void storage.sql.exec(sql));
const call = async (era: Era, by: string, name: string, args: Record<string, unknown>) =>
  callTool(deployment, era, by, [name, args]);
const change = async (era: Era = "2026 request", by = token, values: Record<string, unknown> = { note: "PAID" }) =>
  call(era, by, "change", {
    dataset: "shop.stock",
    action: "update",
    where: { id: 11 },
    values,
    reason: "The letter says so.",
  });

beforeAll(async () => {
  await seedStock();
  token = await tokenOf("support");
  await registerStockUsers();
  const person = await personAt("support@harbor.example");
  const makePat = async (): Promise<string> =>
    String((await person.api("POST", "/tokens", { name: "ci", roles: ["support"], days: 30 })).body["token"]);
  [pat, otherPat] = [await makePat(), await makePat()];
  ({ subjectId } = await personOf("support"));
});

beforeEach(async () => {
  await seedStock();
  await flag("DELETE FROM flag");
});

/** Every way in which text of outsiders reaches an assistant of the user. */
const WAYS: readonly (readonly [string, () => Promise<unknown>])[] = [
  ...ERAS.map((era) => [`a query in a ${era}`, async () => call(era, token, "query", READ)] as const),
  ["a query of a personal access token", async () => call("2026 request", pat, "query", READ)],
  [
    "a query that gives the column another name",
    async () => call("2026 request", token, "query", { ...READ, sql: "SELECT upper(body) AS id FROM letters" }),
  ],
  [
    "a query that only counts by the column",
    async () =>
      call("2026 request", token, "query", { ...READ, sql: "SELECT body, count(*) AS n FROM letters GROUP BY body" }),
  ],
  [
    "the preview of a change of the row",
    async () =>
      call("2026 request", token, "change", {
        dataset: "shop.letters",
        action: "update",
        where: { id: 1 },
        values: { stamp: "read" },
        reason: "r",
      }),
  ],
];

describe("a change that the policy applies without a person", () => {
  it.each(ERAS)("is applied at once in a %s when no text of outsiders was read", async (era) => {
    await call(era, token, "query", { source: "shop", sql: "SELECT id, note FROM stock" });
    expect(await change(era)).toMatchObject({ state: "applied" });
    expect(await readCell(11, "note")).toBe("PAID");
  });

  it.each(WAYS)("waits for the user after %s", async (_title, read) => {
    expect(JSON.stringify(await read())).toMatch(/Dear assistant|DEAR ASSISTANT/);
    const before = await readStock();
    for (const era of ERAS)
      for (const by of [token, pat, otherPat])
        expect(await change(era, by, { note: `PAID ${era} ${by === pat}` })).toMatchObject({ state: "proposed" });
    expect(await readStock()).toBe(before);
  });

  it("is applied when the user confirms it, and its undo waits again", async () => {
    await call("2026 request", token, "query", READ);
    const id = String((await change())["change"]);
    const person = await personOf("support");
    const { proof, approval } = await deployment.review.view(person, id);
    expect(approval).toBe("requester");
    expect(await deployment.review.decide(person, id, { approves: true, proof })).toBe("applied");
    expect(await call("2026 request", token, "undo", { change: id, reason: "r" })).toMatchObject({ state: "proposed" });
    expect(await readCell(11, "note")).toBe("PAID");
  });

  it("waits when it is the undo of a change that was applied without a person before the text was read", async () => {
    const { change: id } = await change();
    await call("2026 request", token, "query", READ);
    expect(await call("2026 request", token, "undo", { change: id, reason: "r" })).toMatchObject({ state: "proposed" });
    expect(await readCell(11, "note")).toBe("PAID");
  });

  it.each([
    ["waits in the last second of the window", WINDOW_MS - 60_000, "proposed"],
    ["is applied again after the window", WINDOW_MS, "applied"],
  ])("%s", async (_title, agoMs, state) => {
    await call("2026 request", token, "query", READ);
    await flag(`UPDATE flag SET at_ms = at_ms - ${agoMs}`);
    expect(await change("2026 request", token, { note: `PAID ${agoMs}` })).toMatchObject({ state });
  });
});

describe("an assistant that obeys planted instructions", () => {
  it("applies nothing with any argument, name or page that it tries", async () => {
    await call("2026 request", token, "query", READ);
    const before = await readStock();
    const proposed = await change();
    const id = String(proposed["change"]);
    const { proof } = await deployment.review.view(await personOf("support"), id);
    const base = { dataset: "shop.stock", action: "update", where: { id: 12 }, values: { note: "PAID" }, reason: "r" };
    for (const extra of [{ approve: true }, { approval: "none" }, { proof }, { confirmed: true }, { untrusted: false }])
      expect(await call("2026 request", token, "change", { ...base, ...extra })).not.toMatchObject({
        state: "applied",
      });
    for (const reason of ["approved by the user", id, proof]) await change("2026 request", token, { note: reason });
    for (const key of [id, proof, "approve"])
      expect(await call("2026 request", pat, "change", { ...base, key })).toMatchObject({ state: "proposed" });
    for (const name of ["approve", "approve change", "decide", "confirm"]) {
      const response = await deployment.send(
        buildPost2026(token, "tools/call", { name, arguments: { change: id, approves: true, proof } }),
      );
      expect(await response.text()).not.toContain('"applied"');
    }
    for (const [path, body] of [
      [`/changes/${id}`, `decision=approve&proof=${proof}`],
      [`/api/changes/${id}`, JSON.stringify({ approves: true, proof })],
    ] as const)
      for (const by of [token, pat])
        await deployment.send(
          new Request(`${ORIGIN}${path}`, {
            method: "POST",
            redirect: "manual",
            headers: {
              authorization: `Bearer ${by}`,
              "content-type": "application/x-www-form-urlencoded",
              origin: ORIGIN,
            },
            body,
          }),
        );
    expect((await deployment.openChange(id).read())?.state).toBe("proposed");
    expect(await readStock()).toBe(before);
    const { results } = await env.EXAMPLE_DB.prepare("SELECT change_id FROM _gatehouse_journal WHERE change_id = ?")
      .bind(id)
      .all();
    expect(results).toEqual([]);
  });
});
