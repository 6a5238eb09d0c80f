// The start page's own rules, in workerd: what it says when a person cannot be told anything, and the form that ends a connection.
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import type { Introduction } from "../../src/access/introduction.ts";
import { createBrowserSessions } from "../../src/auth/browser-session.ts";
import type { Connection } from "../../src/auth/connections.ts";
import { createNoSignIn } from "../../src/auth/no-sign-in.ts";
import { AppError } from "../../src/errors.ts";
import { newId } from "../../src/lib/ids.ts";
import { createBrowserSessionStore } from "../../src/storage/browser-sessions.ts";
import { clientGuides, clientLines } from "../../src/web/clients.ts";
import { createHomeRoutes } from "../../src/web/home.tsx";

const ORIGIN = "https://gatehouse.example.com";
const FULL = "The record of your calls is full.";

/** The start page for one signed-in person who has one connection; `tell` is what they may see. */
async function pageOf(tell: () => Promise<Introduction>) {
  const subjectId = newId();
  const connections = new Map([
    [
      "one",
      {
        id: "one",
        clientName: "A client",
        clientDomain: "client.example",
        clientId: "client",
        usedMs: 0,
        createdMs: 0,
      },
    ],
  ]);
  const store = createBrowserSessionStore(env.GATEHOUSE_DB);
  const sessions = createBrowserSessions({ store, idleSeconds: 600, maxSeconds: 600, now: () => 1_700_000_000_000 });
  const began = await sessions.begin({ subjectId, email: "ann@example.com", groups: [] });
  const cookie = began.getSetCookie()[0]?.split(";")[0] ?? "";
  const app = createHomeRoutes({
    organisation: "Example Ltd",
    contact: "it@example.com",
    resource: `${ORIGIN}/mcp`,
    hasSources: true,
    signIn: createNoSignIn(),
    sessions,
    introduce: tell,
    connections: {
      list: async (of): Promise<readonly Connection[]> => (of === subjectId ? [...connections.values()] : []),
      end: async (of, id) => of === subjectId && connections.delete(id),
    },
  });
  const send = async (
    path: string,
    init: Omit<RequestInit, "headers"> & { readonly headers?: Record<string, string> } = {},
  ) => app.request(`${ORIGIN}${path}`, { ...init, headers: { cookie, ...init.headers } });
  const end = async (fields: Record<string, string>, headers: Record<string, string> = {}) =>
    send("/connections/end", { method: "POST", body: new URLSearchParams(fields), headers });
  const session = await sessions.read(new Request(ORIGIN, { headers: { cookie } }));
  return { send, end, csrf: session?.csrfToken ?? "", connections };
}

const nothing = async (): Promise<Introduction> => ({ roles: [], sources: [], questions: [] });

describe("the start page", () => {
  it("opens also when the person cannot be told anything, says why, and shows the connections", async () => {
    const { send } = await pageOf(async () => {
      throw new AppError("record_full", FULL);
    });
    const html = await (await send("/")).text();
    expect(html).toContain(FULL);
    expect(html).toContain("A client");
    expect(html).toContain("Published by client.example");
  });

  it("tells who has a role that opens nothing so, with a link to whom to ask", async () => {
    const { send } = await pageOf(async () => ({ ...(await nothing()), roles: [{ name: "r", description: "d" }] }));
    const html = await (await send("/")).text();
    expect(html).toContain("Your role here opens no data yet.");
    expect(html).toContain('<a href="mailto:it@example.com">it@example.com</a>');
  });

  it("says that nobody can sign in where that is so, to who is not signed in", async () => {
    const { send } = await pageOf(nothing);
    const html = await (await send("/", { headers: { cookie: "" } })).text();
    expect(html).toContain("GATEHOUSE_SIGN_IN");
    expect(html).not.toContain('href="/sign-in');
    expect(html).not.toContain("A client");
  });

  it("has the URL for clients of the internet where they can reach it", async () => {
    const { send } = await pageOf(nothing);
    const html = await (await send("/")).text();
    for (const client of ["Claude.ai", "ChatGPT"]) expect(html).toContain(`<h3>${client}</h3>`);
    expect(clientLines(`${ORIGIN}/mcp`)).toEqual(clientGuides(`${ORIGIN}/mcp`));
    expect(clientLines("http://localhost:8787/mcp").map(({ client }) => client)).not.toContain("Claude.ai");
  });
});

describe("ending a connection", () => {
  it("ends it by the page's own form, and goes back to the list", async () => {
    const { end, csrf, connections } = await pageOf(nothing);
    const done = await end({ csrf, connection: "one" });
    expect([done.status, done.headers.get("location")]).toEqual([302, "/#connections"]);
    expect(connections.size).toBe(0);
  });

  it("goes back to the list when there is no such connection any more", async () => {
    const { end, csrf, connections } = await pageOf(nothing);
    expect((await end({ csrf, connection: "other" })).status).toBe(302);
    expect(connections.size).toBe(1);
  });

  it.each([
    ["without a token", {}, {}, 403],
    ["with another's token", { csrf: "0".repeat(64) }, {}, 403],
    ["without the session", { own: "csrf" }, { cookie: "" }, 403],
    ["as anything but a form", { own: "csrf" }, { "content-type": "text/plain" }, 400],
  ])("is refused %s", async (_name, fields: Record<string, string>, headers: Record<string, string>, status) => {
    const { end, csrf, connections } = await pageOf(nothing);
    const { own, ...others } = fields;
    const refused = await end({ connection: "one", ...others, ...(own === undefined ? {} : { csrf }) }, headers);
    expect(refused.status).toBe(status);
    expect(connections.size).toBe(1);
    expect(await refused.text()).toContain("href=");
  });
});
