// Writes docs/call-costs.md from measurements of a running server. This file contains the prose; every number in the page is measured.
import { createBrowser } from "../forms.ts";
import { exchangeCode, readJson, register, requestToken, signIn, tokensFor } from "../oauth.ts";
import type { Registered, Tokens } from "../oauth.ts";
import type { Cost, CountedServer } from "./counted-server.ts";

/** A kind of request and its cost. */
interface CostRow {
  readonly name: string;
  readonly cost: Cost;
}

const ENVELOPE = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
  "io.modelcontextprotocol/clientCapabilities": {},
};
const QUERY = { name: "query", arguments: { source: "shop", sql: "SELECT id, region FROM customers WHERE id = 1" } };

const CHANGE = {
  dataset: "shop.tickets",
  action: "update",
  where: { id: 1199 },
  values: { status: "closed" },
  reason: "It is solved.",
};

/** The calls that are measured in both eras: the method, its parameters, and the name in the page. */
const CALLS: readonly (readonly [name: string, method: string, params: Readonly<Record<string, unknown>>])[] = [
  ["`tools/list`", "tools/list", {}],
  ["`prompts/get`", "prompts/get", { name: "explain-dataset", arguments: { dataset: "shop.customers" } }],
  ["`resources/list`", "resources/list", {}],
  ["`resources/read` of a row", "resources/read", { uri: "gatehouse://dataset/shop/customers/1" }],
  ["`describe` of a dataset", "tools/call", { name: "describe", arguments: { dataset: "shop.customers" } }],
  ["`search`", "tools/call", { name: "search", arguments: { query: "refund" } }],
  ["`fetch` of a row", "tools/call", { name: "fetch", arguments: { id: "shop.customers/1" } }],
  ["`fetch` of a document", "tools/call", { name: "fetch", arguments: { id: "handbook/policies/refunds.md" } }],
  ["`query`", "tools/call", QUERY],
  [
    "`query` that is denied",
    "tools/call",
    { name: "query", arguments: { source: "shop", sql: "SELECT notes FROM customers" } },
  ],
];

/** Builds the page. */
export async function writeCallCosts(server: CountedServer): Promise<string> {
  const signIns = await measureSignIns(server);
  const { accessToken } = signIns.tokens;
  return [
    INTRODUCTION,
    "## Sign-in and the first call\n",
    formatRows(signIns.rows),
    "## Calls of the 2026 revision\n",
    formatRows(await measure2026(server, accessToken)),
    "## Calls in a session of the 2025 era\n",
    formatRows(await measure2025(server, accessToken)),
    "## Pages and the JSON API\n",
    formatRows(await measurePages(server)),
    "## Changes\n",
    formatRows(await measureChange(server)),
    AFTER,
  ].join("\n");
}

async function measureSignIns(server: CountedServer): Promise<{ rows: readonly CostRow[]; tokens: Tokens }> {
  const flow = { origin: server.origin, send: fetch };
  let client: Registered = await register(flow);
  let tokens: Tokens = { accessToken: "", refreshToken: "" };
  let callback = new URL(server.origin);
  const once = async (name: string, request: () => Promise<Response | undefined | void>): Promise<CostRow> => ({
    name,
    cost: await server.measure(async () => (await request()) ?? undefined, "once"),
  });
  const { accessToken: otherAccessToken } = await tokensFor(flow, "owner@harbor.example");
  const rows = [
    await once("registration of a client", async () => void (client = await register(flow))),
    await once("consent and sign-in, three pages", async () => {
      callback = await signIn(flow, client, "analyst@harbor.example");
    }),
    await once("the code for an access token", async () => void (tokens = await exchangeCode(flow, client, callback))),
    await once("first `query` of an isolate, of a new user", async () =>
      post2026(server, otherAccessToken, "tools/call", QUERY),
    ),
    await once("first `query` of a new user", async () => post2026(server, tokens.accessToken, "tools/call", QUERY)),
    await once("second `query`", async () => post2026(server, tokens.accessToken, "tools/call", QUERY)),
    await once("a refresh token for an access token", async () => {
      const parameters = {
        grant_type: "refresh_token",
        refresh_token: tokens.refreshToken,
        client_id: client.clientId,
      };
      const { access_token: accessToken, refresh_token: refreshToken } = await readJson(
        await requestToken(flow, parameters),
      );
      tokens = { accessToken: String(accessToken), refreshToken: String(refreshToken) };
    }),
    await once("first `query` with the new access token", async () =>
      post2026(server, tokens.accessToken, "tools/call", QUERY),
    ),
  ];
  return { rows, tokens };
}

async function measure2026(server: CountedServer, accessToken: string): Promise<readonly CostRow[]> {
  const rows: CostRow[] = [];
  for (const [name, method, params] of CALLS)
    rows.push({ name, cost: await server.measure(async () => post2026(server, accessToken, method, params)) });
  const { result } = Object((await readJson(await post2026(server, accessToken, "tools/call", QUERY)))["result"])[
    "structuredContent"
  ];
  const stored = { name: "query", arguments: { source: "workspace", sql: `SELECT count(*) FROM ${String(result)}` } };
  const listen = async (): Promise<undefined> => {
    const stopping = new AbortController();
    const response = await post2026(
      server,
      accessToken,
      "subscriptions/listen",
      { notifications: {} },
      stopping.signal,
    );
    await response.body?.getReader().read();
    stopping.abort();
  };
  return [
    ...rows,
    {
      name: "`query` over a stored result",
      cost: await server.measure(async () => post2026(server, accessToken, "tools/call", stored)),
    },
    { name: "`subscriptions/listen`", cost: await server.measure(listen, "once") },
  ];
}

async function measure2025(server: CountedServer, accessToken: string): Promise<readonly CostRow[]> {
  const initialize = {
    id: 1,
    method: "initialize",
    params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } },
  };
  let session = "";
  const opened = await server.measure(async () => {
    const response = await post(server, accessToken, initialize);
    session = response.headers.get("mcp-session-id") ?? "";
    return response;
  }, "once");
  const headers = (): Record<string, string> => ({ "mcp-session-id": session, "mcp-protocol-version": "2025-11-25" });
  const rows: CostRow[] = [{ name: "`initialize`", cost: opened }];
  rows.push({
    name: "`notifications/initialized`",
    cost: await server.measure(
      async () => post(server, accessToken, { method: "notifications/initialized" }, headers()),
      "once",
    ),
  });
  for (const [name, method, params] of CALLS)
    rows.push({
      name,
      cost: await server.measure(async () => post(server, accessToken, { id: 2, method, params }, headers())),
    });
  const listen = async (): Promise<undefined> => {
    const stopping = new AbortController();
    const all = {
      authorization: `Bearer ${accessToken}`,
      accept: "text/event-stream",
      "x-open-stream": "1",
      ...headers(),
    };
    await fetch(`${server.origin}/mcp`, { headers: all, signal: stopping.signal });
    stopping.abort();
  };
  rows.push({ name: "`GET`: a stream of notifications", cost: await server.measure(listen, "once") });
  const end = { method: "DELETE", headers: { authorization: `Bearer ${accessToken}`, ...headers() } };
  rows.push({
    name: "`DELETE`: the end",
    cost: await server.measure(async () => fetch(`${server.origin}/mcp`, end), "once"),
  });
  return rows;
}

async function measurePages(server: CountedServer): Promise<readonly CostRow[]> {
  const { origin } = server;
  let cookie = "";
  const browser = createBrowser(async (url, init) => {
    const response = await fetch(url, init);
    for (const line of response.headers.getSetCookie())
      cookie = /^__Host-gatehouse-session=[^;]*/.exec(line)?.[0] ?? cookie;
    return response;
  });
  const signedIn = await server.measure(async () => {
    await browser.press(await browser.open(`${origin}/sign-in`), "account", "reviewer@harbor.example");
    return undefined;
  }, "once");
  const api = async (method: string, path: string, body?: object): Promise<Response> => {
    const csrf = Object(await readJson(await fetch(`${origin}/api/session`, { headers: { cookie } })))["csrfToken"];
    const headers = { cookie, origin, "x-gatehouse-csrf": String(csrf), "content-type": "application/json" };
    await fetch(`${origin}/reset`);
    return fetch(`${origin}/api${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  };
  let pat = "";
  const made = await server.measure(async () => {
    const reply = await readJson(await api("POST", "/tokens", { name: "t", roles: ["analyst"], days: 1 }));
    pat = String(reply["token"]);
    return undefined;
  }, "once");
  const measureApi = async (path: string): Promise<Cost> => server.measure(async () => api("GET", path));
  return [
    { name: "sign-in to the pages", cost: signedIn },
    { name: "the start page", cost: await server.measure(async () => fetch(origin, { headers: { cookie } })) },
    { name: "`GET /api/session`", cost: await measureApi("/session") },
    { name: "`GET /api/connections`", cost: await measureApi("/connections") },
    { name: "`GET /api/tokens`", cost: await measureApi("/tokens") },
    { name: "`POST /api/tokens`, the owner's first call", cost: made },
    {
      name: "`query` with a personal access token",
      cost: await server.measure(async () => post2026(server, pat, "tools/call", QUERY)),
    },
  ];
}

/** A change of the support desk, which its user approves on the page. */
async function measureChange(server: CountedServer): Promise<readonly CostRow[]> {
  const { origin } = server;
  const { accessToken } = await tokensFor({ origin, send: fetch }, "support@harbor.example");
  const call = async (name: string, args: object): Promise<Response> =>
    post2026(server, accessToken, "tools/call", { name, arguments: args });
  await call("describe", { dataset: "shop.tickets" });
  const browser = createBrowser(fetch);
  await browser.press(await browser.open(`${origin}/sign-in`), "account", "support@harbor.example");
  let id = "";
  const proposed = await server.measure(async () => {
    const { result } = await readJson(await call("change", CHANGE));
    id = String(Object(Object(result)["structuredContent"])["change"]);
    return undefined;
  }, "once");
  const url = `${origin}/changes/${id}`;
  const shown = await server.measure(async () => void (await browser.open(url)), "once");
  const page = await browser.open(url);
  const approved = await server.measure(async () => void (await browser.press(page, "decision", "approve")), "once");
  return [
    { name: "`change`", cost: proposed },
    { name: "the page of a change", cost: shown },
    { name: "the approval on the page, with the apply", cost: approved },
    { name: "`fetch` of a change", cost: await server.measure(async () => call("fetch", { id })) },
  ];
}

async function post(
  { origin }: CountedServer,
  accessToken: string,
  message: Readonly<Record<string, unknown>>,
  more: Readonly<Record<string, string>> = {},
  signal?: AbortSignal,
): Promise<Response> {
  const headers = {
    authorization: `Bearer ${accessToken}`,
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    ...more,
  };
  const body = JSON.stringify({ jsonrpc: "2.0", ...message });
  return fetch(`${origin}/mcp`, { method: "POST", headers, body, ...(signal === undefined ? {} : { signal }) });
}

/** Sends a request of the 2026 revision. One with a signal has an answer that stays open. */
async function post2026(
  server: CountedServer,
  accessToken: string,
  method: string,
  params: Readonly<Record<string, unknown>>,
  signal?: AbortSignal,
): Promise<Response> {
  const name = params["name"] ?? params["uri"];
  const headers = {
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": method,
    ...(typeof name === "string" ? { "mcp-name": name } : {}),
    ...(signal === undefined ? {} : { "x-open-stream": "1" }),
  };
  return post(server, accessToken, { id: 1, method, params: { ...params, _meta: ENVELOPE } }, headers, signal);
}

const OBJECTS = ["GRANT", "LEDGER", "SESSION", "HUB", "WORKSPACE", "CHANGE"];
const isObjectCall = (call: string): boolean => OBJECTS.includes(call.split(".")[0] ?? "");
const isDocumentCall = (call: string): boolean => call.startsWith("HANDBOOK.");

function formatRows(rows: readonly CostRow[]): string {
  const lines = rows.map(({ name, cost }) => {
    const databases = cost.filter((call) => !isObjectCall(call) && !isDocumentCall(call));
    const statements = databases.reduce((sum, call) => sum + Number(call.split(" ")[1] ?? 1), 0);
    const counts = [cost.filter(isObjectCall).length, databases.length, statements, cost.filter(isDocumentCall).length];
    return `| ${[name, ...counts, listCalls(cost)].join(" | ")} |`;
  });
  return [
    "| Request | Object calls | D1 calls | D1 statements | KV | Which |",
    "| --- | --- | --- | --- | --- | --- |",
    ...lines,
    "",
  ].join("\n");
}

/** Lists the calls, each kind once with its number. */
function listCalls(cost: Cost): string {
  const kinds = Map.groupBy(cost, (call) => call.split(" ")[0] ?? "");
  const texts = [...kinds].map(([name, calls]) =>
    calls.length === 1 ? `\`${name}\`` : `${calls.length} × \`${name}\``,
  );
  return texts.length === 0 ? "none" : texts.join(", ");
}

const INTRODUCTION = `# What a call costs

These tables say which calls to Durable Objects, D1 and KV the common kinds of request make before their answers leave.
They count the whole Worker, so the calls of one object to another too.
Operators find here what they pay for, and contributors what a change adds.
\`test/e2e/call-costs.test.ts\` measures them over the sample and compares them with this page.
\`npx vitest run test/e2e/call-costs.test.ts -u\` writes the page again.

A D1 call is one round trip, and a batch has several statements.
The objects' own SQLite is not counted, and neither are the rate limiters, which count beside the Worker.
Where a row does not say that it is the first, caches are warm.
The network steps that a user waits for, one after the other, are fewer: [design.md](design.md#one-query-from-client-to-answer).
`;

const AFTER = `## What follows after the answer

- About ten seconds after a call, its ledger sends all records that wait to \`GATEHOUSE_DB\`: one batch of three statements for up to 200 records.
- A ledger that is used compares its copy of the roles once a minute: one D1 call.
`;
