// Questions of a governed tool in the 2026 era, over the real gateway, ledger and members: what became of them is delivered again only
// while the grants of its person are the same.
import { createMcpHandler, McpServer } from "@modelcontextprotocol/server";
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import * as z from "zod";
import { newId } from "../../src/lib/ids.ts";
import { createRounds } from "../../src/mcp/rounds.ts";
import type { RoundTool } from "../../src/mcp/rounds.ts";
import { callerOf, toAuthInfo } from "../../src/server/caller.ts";
import { createReplayGuard } from "../../src/server/replay-guard.ts";
import { jsonResult } from "../../src/server/result.ts";
import { addRole, removeMember, removeRole, setAttributes } from "../../src/storage/member-statements.ts";
import type { Change } from "../../src/storage/member-statements.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { ledgerOf, members, roleChanges } from "../support/members.ts";
import { SECRETS, seedShop } from "../support/seed.ts";
import sample from "../../sample/gatehouse.config.ts";

const EMAIL = "asked@harbor.example";
const by = { by: "owner@harbor.example", nowMs: 1_000 };
const SQL = "SELECT id, name FROM customers ORDER BY id";

const gateway = gatewayFor(sample);
const failures: unknown[] = [];

/** Reads how many customers there are, asks, and then shows them. */
const showCustomers: RoundTool<object, { readonly rows: number }> = {
  name: "show_customers",
  parseState: (value) => z.object({ rows: z.number() }).parse(value),
  async run(_input, state, context) {
    const { rows } = await gateway.query(callerOf(context), {
      what: { source: "shop", sql: SQL },
      params: [],
      limit: undefined,
    });
    if (state !== undefined) return jsonResult({ rows });
    const requestedSchema = { type: "object", properties: { ok: { type: "boolean" } } } as const;
    const params = { mode: "form", message: `Show ${rows.length} rows?`, requestedSchema } as const;
    const confirm = { method: "elicitation/create", params } as const;
    return { kind: "question", ways: [{ confirm }], state: { rows: rows.length }, otherwise: jsonResult({}) };
  },
};

const rounds = createRounds({
  key: "a key for tests, of at least 32 bytes",
  ttlSeconds: 600,
  handles: {
    open: async (subject, opened) => ledgerOf(subject).openHandle(opened),
    spend: async (subject, handle, binding) => ledgerOf(subject).spendHandle(handle, binding),
    settle: async (subject, handle, outcome, next) => ledgerOf(subject).settleHandle(handle, outcome, next),
  },
  replays: createReplayGuard(gateway, (error) => void failures.push(error)),
  subjectOf: (context) => callerOf(context).identity.subjectId,
  newId,
});

const handler = createMcpHandler(() => {
  const server = new McpServer(
    { name: "t", version: "1" },
    { requestState: { verify: async (state, context) => rounds.verify(state, context) } },
  );
  const config = { description: "Shows customers", inputSchema: z.object({}) };
  server.registerTool(showCustomers.name, config, rounds.callbackOf(server, showCustomers));
  return server;
});

let caller = callerAs(EMAIL);

async function callTool(requestState?: string): Promise<string> {
  const confirm = { action: "accept", content: { ok: true } };
  const retry = requestState === undefined ? {} : { requestState, inputResponses: { confirm } };
  const _meta = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": { name: "t", version: "1" },
    "io.modelcontextprotocol/clientCapabilities": { elicitation: {} },
  };
  const params = { name: showCustomers.name, arguments: {}, ...retry, _meta };
  const request = new Request("http://localhost/mcp", {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": "tools/call",
      "mcp-name": showCustomers.name,
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params }),
  });
  return (await handler.fetch(request, { authInfo: toAuthInfo(caller, []) })).text();
}

async function ask(): Promise<string> {
  return /"requestState":"([^"]+)"/.exec(await callTool())?.[1] ?? "";
}

async function change(...changes: readonly Change[]): Promise<void> {
  for (const one of changes) await members.apply(one);
  await roleChanges().tell();
}

async function lastRecord() {
  const records = await ledgerOf(caller.identity.subjectId).records(0, 1000);
  return JSON.parse(records.at(-1)?.body ?? "{}");
}

beforeAll(seedShop);
beforeEach(async () => {
  caller = callerAs(EMAIL);
  await change(addRole(EMAIL, "support", by), setAttributes(EMAIL, { region: "south" }, by));
});
afterEach(async () => {
  await change(removeMember(EMAIL, by));
  expect(failures).toEqual([]);
});

describe("what became of a governed question", () => {
  it("is delivered again under the same grants, and that is recorded", async () => {
    const state = await ask();
    const first = await callTool(state);
    expect(first).toContain(SECRETS.southName);
    expect(await callTool(state)).toBe(first);
    expect(await lastRecord()).toMatchObject({
      attempt: { operation: "replay", asked: expect.stringContaining("outcome of show_customers") },
      outcome: { result: "answered", roles: ["support"] },
    });
  });

  it("holds nothing on the wire of the grants under which it was made", async () => {
    const state = await ask();
    for (const wire of [await callTool(state), await callTool(state)]) expect(wire).not.toMatch(/digest|grants/);
  });

  it("is kept with its grants, as a digest", async () => {
    const state = await ask();
    await callTool(state);
    const kept = await runInDurableObject(
      env.LEDGER.get(env.LEDGER.idFromName(caller.identity.subjectId)),
      (_object, { storage }) => storage.sql.exec<{ outcome: string }>("SELECT outcome FROM handle").one().outcome,
    );
    expect(JSON.parse(kept)).toMatchObject({
      grants: [{ digest: expect.stringMatching(/^[0-9a-f]{64}$/) }, { digest: expect.any(String) }],
    });
  });

  const changes: readonly (readonly [string, Change])[] = [
    ["the role was removed", removeRole(EMAIL, "support", by)],
    ["a role was added", addRole(EMAIL, "analyst", by)],
    ["an attribute changed", setAttributes(EMAIL, { region: "north" }, by)],
    ["the member was removed", removeMember(EMAIL, by)],
  ];
  it.each(changes)("is withheld when %s, and that is recorded", async (_what, lost) => {
    const state = await ask();
    expect(await callTool(state)).toContain(SECRETS.southName);
    await change(lost);
    const again = await callTool(state);
    expect(again).toMatch(/permissions have changed/i);
    expect(again).not.toContain(SECRETS.southName);
    expect(await lastRecord()).toMatchObject({
      attempt: { operation: "replay" },
      outcome: { result: "denied", denials: ["replay: grants_changed"] },
    });
  });

  it("is delivered again once the same grants were given again", async () => {
    const state = await ask();
    const first = await callTool(state);
    await change(setAttributes(EMAIL, { region: "north" }, by));
    expect(await callTool(state)).not.toContain(SECRETS.southName);
    await change(setAttributes(EMAIL, { region: "south" }, by));
    expect(await callTool(state)).toBe(first);
  });

  it("does not come about when the grants changed since the question", async () => {
    const state = await ask();
    await change(setAttributes(EMAIL, { region: "north" }, by));
    const refused = await callTool(state);
    expect(refused).toMatch(/permissions have changed since this question was asked/i);
    expect(refused).not.toMatch(/Nora|Sid/);
    expect(await lastRecord()).toMatchObject({ attempt: { operation: "replay" }, outcome: { result: "denied" } });
  });

  it.each(['{"content":[{"type":"text","text":"old"}]}', "null", '{"value":{"content":[]},"grants":"x"}'])(
    "is withheld in the form of older versions, or of none: %s",
    async (outcome) => {
      const state = await ask();
      await callTool(state);
      await runInDurableObject(
        env.LEDGER.get(env.LEDGER.idFromName(caller.identity.subjectId)),
        (_object, { storage }) => void storage.sql.exec("UPDATE handle SET outcome = ?", outcome),
      );
      const again = await callTool(state);
      expect(again).toMatch(/permissions have changed/i);
      expect(again).not.toContain('"old"');
    },
  );
});
