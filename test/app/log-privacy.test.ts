// The log of the whole Worker after typical failures: it has ids and codes, and no email address, SQL or value.
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import sample from "../../sample/gatehouse.config.ts";
import { createGatehouse } from "../../src/app/create-gatehouse.ts";
import { redactLogText } from "../../src/lib/log-text.ts";
import { buildPost, buildPost2026 } from "../support/mcp-requests.ts";
import { seedShop } from "../support/seed.ts";
import { ORIGIN, initialize, tokenOf } from "../support/worker.ts";

const ADDRESS = "ada.secret@customer.example";
const LITERAL = "Ada Secret 55512345678";
/** The addresses of the sample's accounts, those of its customers, and what the tests put into SQL, arguments and errors. */
const PERSONAL = /[\w.-]+@(?:harbor|customer|mail)\.example|Ada Secret|55512345678|ada\.secret/;

/** A database that answers as a broken one does, with the user's text in its message. */
const broken = (message: string): D1Database => {
  const fail = () => {
    throw new Error(message, { cause: new SyntaxError(`Unexpected token 'A', "${LITERAL}" is not valid JSON`) });
  };
  return Object.create(env.SHOP_DB, { prepare: { value: fail }, batch: { value: fail }, withSession: { value: fail } });
};

const lines: string[] = [];
let token = "";

beforeAll(async () => {
  await seedShop();
  token = await tokenOf("analyst");
});

beforeEach(() => {
  lines.length = 0;
  for (const level of ["log", "info", "warn", "error", "debug"] as const)
    vi.spyOn(console, level).mockImplementation((...parts) => void lines.push(parts.map(String).join(" ")));
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** Sends requests, one after the other, to a new isolate, and returns its log. */
async function logOf(requests: readonly Request[], bindings: Partial<typeof env> = {}): Promise<string> {
  const { handler } = createGatehouse(sample);
  for (const request of requests) {
    const context = createExecutionContext();
    await (await handler.fetch(request, { ...env, ...bindings }, context)).text();
    await waitOnExecutionContext(context);
  }
  return lines.join("\n");
}

const callTool = (name: string, args: object): Request => buildPost2026(token, "tools/call", { name, arguments: args });
const query = (sql: string, params: readonly unknown[] = []): Request =>
  callTool("query", { source: "shop", sql, params });
const mail = `'${ADDRESS}'`;

describe("the log", () => {
  it.each<[string, RegExp, () => readonly Request[], Partial<typeof env>?]>([
    ["a query that is answered", /"outcome":"answered"/, () => [query(`SELECT 1 AS n WHERE ${mail} = '${LITERAL}'`)]],
    ["a bound value", /"outcome":"answered"/, () => [query("SELECT id FROM products WHERE name = ?", [LITERAL])]],
    ["SQL with a mistake", /"outcome":"query_refused"/, () => [query(`SELEC ${mail} FROM customers`)]],
    ["an unknown column", /"outcome":"query_failed"/, () => [query(`SELECT "${ADDRESS}" FROM customers`)]],
    [
      "a forbidden statement",
      /"outcome":"query_refused"/,
      () => [query(`DELETE FROM customers WHERE email = ${mail}`)],
    ],
    ["a forbidden function", /"outcome":"query_refused"/, () => [query(`SELECT sqlite_version(), ${mail}`)]],
    [
      "an unknown source",
      /"outcome":"not_found"/,
      () => [callTool("query", { source: ADDRESS, sql: `SELECT ${mail}` })],
    ],
    ["an unknown dataset", /"outcome":"not_found"/, () => [callTool("describe", { dataset: ADDRESS })]],
    ["a search", /"outcome":"answered"/, () => [callTool("search", { query: `${LITERAL} ${ADDRESS}` })]],
    ["an unknown document", /"outcome":"not_found"/, () => [callTool("fetch", { id: `handbook/${ADDRESS}` })]],
    [
      "an unknown resource",
      /"outcome":"/,
      () => [buildPost2026(token, "resources/read", { uri: `gatehouse://dataset/shop/customers/${ADDRESS}` })],
    ],
    ["an unknown tool", /^$/, () => [callTool(ADDRESS, {})]],
    [
      "an unknown prompt",
      /^$/,
      () => [buildPost2026(token, "prompts/get", { name: ADDRESS, arguments: { question: LITERAL } })],
    ],
    [
      "headers that contradict the body",
      /mcp: Rejected inbound request/,
      () => {
        const request = callTool("query", { source: "shop", sql: mail });
        request.headers.set("mcp-name", ADDRESS);
        return [request];
      },
    ],
    [
      "a session with mistakes",
      /^$/,
      () => [
        buildPost(token, initialize(ADDRESS)),
        buildPost(token, { jsonrpc: "2.0", id: 1, method: ADDRESS }, { "mcp-session-id": ADDRESS }),
        buildPost(token, `{"${ADDRESS}`),
      ],
    ],
    ["an access token that is not one", /external_token_rejected/, () => [buildPost(ADDRESS, {})]],
    [
      "a token request",
      /oauth: /,
      () => [
        new Request(`${ORIGIN}/oauth/token`, {
          method: "POST",
          headers: { "content-type": "application/x-www-form-urlencoded" },
          body: `grant_type=refresh_token&refresh_token=${ADDRESS}&client_id=${ADDRESS}`,
        }),
      ],
    ],
    [
      "an authorization request",
      /^$|oauth: /,
      () => [new Request(`${ORIGIN}/authorize?client_id=${ADDRESS}&login_hint=${ADDRESS}`)],
    ],
    [
      "a registration",
      /oauth: |^$/,
      () => [
        new Request(`${ORIGIN}/oauth/register`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ client_name: LITERAL, contacts: [ADDRESS], redirect_uris: [ADDRESS] }),
        }),
      ],
    ],
    [
      "a database that fails with the user's text",
      /internal error source_unavailable/,
      () => [query(`SELECT ${mail}, id FROM customers`)],
      {
        SHOP_DB: broken(`D1_ERROR: near "${LITERAL}": internal error for ${ADDRESS}: SQLITE_IOERR`),
      },
    ],
    [
      "a database of its own that fails",
      /GATEHOUSE_DB could not be read/,
      () => [buildPost("gth_0123456789abcdef0123456789abcdef", {})],
      {
        GATEHOUSE_DB: broken(`D1_ERROR: row of ${ADDRESS}: SQLITE_IOERR`),
      },
    ],
  ])("has no personal data after %s", async (_case, expected, build, bindings = {}) => {
    const log = await logOf(build(), bindings);
    expect(log).toMatch(expected);
    expect(log).not.toMatch(PERSONAL);
  });

  it("has no address of a member after an upkeep that finds a wrong row", async () => {
    await env.GATEHOUSE_DB.prepare(
      "INSERT INTO member (email, roles, attributes, changed_by, changed_ms) VALUES (?, '{}', ?, 'operator', 1)",
    )
      .bind(ADDRESS, JSON.stringify({ region: 55512345678 }))
      .run();
    await createGatehouse(sample).handler.scheduled({ scheduledTime: 0, cron: "*", noRetry: () => {} }, env);
    expect(lines.join("\n")).toContain("member_ineffective: members=1: the attribute region does not fit.");
    expect(lines.join("\n")).not.toMatch(PERSONAL);
  });
});

describe("the text of an error in the log", () => {
  it.each([
    [
      'D1_ERROR: no such column: "Ada Secret" at offset 7: SQLITE_ERROR',
      'D1_ERROR: no such column: "…" at offset 7: SQLITE_ERROR',
    ],
    ['unrecognized token: "\'55512345678": SQLITE_ERROR', 'unrecognized token: "…": SQLITE_ERROR'],
    [`Unexpected token 'A', "Ada Secret" is not valid JSON`, `Unexpected token '…', "…" is not valid JSON`],
    ["no member ada.secret@customer.example", "no member a…@customer.example"],
    ['GATEHOUSE_SIGN_IN is "acess"', 'GATEHOUSE_SIGN_IN is "acess"'],
  ])("keeps of %j only %j", (text, expected) => {
    expect(redactLogText(text)).toBe(expected);
  });
});
