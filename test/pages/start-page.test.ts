// The start page in workerd: what it shows when a user sees nothing, and the form that ends a connection.
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import type { Introduction } from "../../src/gateway/introduce.ts";
import { createBrowserSessions } from "../../src/sign-in/browser-session.ts";
import type { Connection } from "../../src/oauth/connections.ts";
import { createNoSignIn } from "../../src/sign-in/no-sign-in.ts";
import { AppError } from "../../src/errors.ts";
import { newId } from "../../src/lib/ids.ts";
import { createBrowserSessionStore } from "../../src/sign-in/browser-session-store.ts";
import { listClientGuides, listReachableGuides } from "../../src/pages/client-guides.ts";
import { createStartPageRoutes } from "../../src/pages/start-page.tsx";

const ORIGIN = "https://gatehouse.example.com";
const FULL = "The record of your calls is full.";

/** Creates the start page of a signed-in user with one connection; `introduce` returns what they may see. */
async function createTestPage(introduce: () => Promise<Introduction>) {
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
  const sessionHeaders = await sessions.begin({ subjectId, email: "ann@example.com", groups: [] });
  const cookie = sessionHeaders.getSetCookie()[0]?.split(";")[0] ?? "";
  const app = createStartPageRoutes({
    organisation: "Example Ltd",
    contact: "it@example.com",
    resource: `${ORIGIN}/mcp`,
    hasSources: true,
    signIn: createNoSignIn(),
    sessions,
    introduce,
    connections: {
      list: async (ownerId): Promise<readonly Connection[]> => (ownerId === subjectId ? [...connections.values()] : []),
      end: async (ownerId, id) => ownerId === subjectId && connections.delete(id),
      endAll: async () => connections.clear(),
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

const introduceNothing = async (): Promise<Introduction> => ({
  roles: [],
  sources: [],
  questions: [],
  allHidden: null,
});

describe("the start page", () => {
  it("shows an error of the introduction together with the connections", async () => {
    const { send } = await createTestPage(async () => {
      throw new AppError("record_full", FULL);
    });
    const html = await (await send("/")).text();
    expect(html).toContain(FULL);
    expect(html).toContain("A client");
    expect(html).toContain("Published by client.example");
  });

  it("says that the user's role gives access to nothing, with a link to the contact", async () => {
    const { send } = await createTestPage(async () => ({
      ...(await introduceNothing()),
      roles: [{ name: "r", description: "d" }],
    }));
    const html = await (await send("/")).text();
    expect(html).toContain("Your role here gives access to no data yet.");
    expect(html).toContain('<a href="mailto:it@example.com">it@example.com</a>');
  });

  it("says that nothing is open yet, and how the operator opens tables", async () => {
    const { send } = await createTestPage(async () => ({
      ...(await introduceNothing()),
      allHidden: "16 tables, all hidden.",
    }));
    const html = await (await send("/")).text();
    expect(html).toContain("Nothing is open yet.");
    expect(html).toContain("16 tables, all hidden.");
  });

  it("links to the changes and to the own records of a signed-in user only", async () => {
    const { send } = await createTestPage(introduceNothing);
    const html = await (await send("/")).text();
    for (const path of ["/changes", "/records"]) expect(html).toContain(`<a href="${path}">`);
    expect(await (await send("/", { headers: { cookie: "" } })).text()).not.toMatch(/href="\/(?:changes|records)"/);
  });

  it("shows why sign-in is refused to a user who is not signed in", async () => {
    const { send } = await createTestPage(introduceNothing);
    const html = await (await send("/", { headers: { cookie: "" } })).text();
    expect(html).toContain("GATEHOUSE_SIGN_IN");
    expect(html).not.toContain('href="/sign-in');
    expect(html).not.toContain("A client");
  });

  it("lists internet clients only when they can reach the server", async () => {
    const { send } = await createTestPage(introduceNothing);
    const html = await (await send("/")).text();
    for (const client of ["Claude.ai", "ChatGPT"]) expect(html).toContain(`<h3>${client}</h3>`);
    expect(listReachableGuides(`${ORIGIN}/mcp`)).toEqual(listClientGuides(`${ORIGIN}/mcp`));
    expect(listReachableGuides("http://localhost:8787/mcp").map(({ client }) => client)).not.toContain("Claude.ai");
  });
});

describe("ending a connection", () => {
  it("ends it when the form has the CSRF token, and returns to the list", async () => {
    const { end, csrf, connections } = await createTestPage(introduceNothing);
    const response = await end({ csrf, connection: "one" });
    expect([response.status, response.headers.get("location")]).toEqual([302, "/#connections"]);
    expect(connections.size).toBe(0);
  });

  it("returns to the list when the connection no longer exists", async () => {
    const { end, csrf, connections } = await createTestPage(introduceNothing);
    expect((await end({ csrf, connection: "other" })).status).toBe(302);
    expect(connections.size).toBe(1);
  });

  it.each([
    ["without a CSRF token", {}, {}, 403],
    ["with another session's CSRF token", { csrf: "0".repeat(64) }, {}, 403],
    ["without the session", { useSessionCsrf: "true" }, { cookie: "" }, 403],
    ["with a body that is not a form", { useSessionCsrf: "true" }, { "content-type": "text/plain" }, 400],
  ])("is refused %s", async (_name, fields: Record<string, string>, headers: Record<string, string>, status) => {
    const { end, csrf, connections } = await createTestPage(introduceNothing);
    const { useSessionCsrf, ...otherFields } = fields;
    const csrfField = useSessionCsrf === undefined ? {} : { csrf };
    const refused = await end({ connection: "one", ...otherFields, ...csrfField }, headers);
    expect(refused.status).toBe(status);
    expect(connections.size).toBe(1);
    expect(await refused.text()).toContain("href=");
  });
});
