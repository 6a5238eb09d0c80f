// Questions of a governed tool in the 2026 era, with the real gateway, ledger and members: an outcome is delivered again only
// while the user's grants are the same.
import { createMcpHandler, McpServer } from "@modelcontextprotocol/server";
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import * as z from "zod";
import { newId } from "../../src/lib/ids.ts";
import { createInputRequiredTools } from "../../src/mcp/elicitation/input-required.ts";
import type { InputTool } from "../../src/mcp/elicitation/input-required.ts";
import { getCaller, buildAuthInfo } from "../../src/server/kit/caller.ts";
import { createReplayGuard } from "../../src/server/gateway-replay-guard.ts";
import { jsonResult } from "../../src/server/kit/tool-result.ts";
import { addRole, removeMember, removeRole, setAttributes } from "../../src/members/member-statements.ts";
import type { SqlStatement } from "../../src/members/member-statements.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { ledgerOf, members, roleChanges } from "../support/members.ts";
import { SECRETS, seedShop } from "../support/seed.ts";
import sample from "../../sample/gatehouse.config.ts";
import { openHandleStore } from "../../src/server/user-questions.ts";

const EMAIL = "asked@harbor.example";
const by = { by: "owner@harbor.example", nowMs: 1_000 };
const SQL = "SELECT id, name FROM customers ORDER BY id";

const gateway = gatewayFor(sample);
const failures: unknown[] = [];

/** Reads how many customers there are, asks for confirmation, and then shows them. */
const showCustomers: InputTool<object, { readonly rows: number }> = {
  name: "show_customers",
  parseState: (value) => z.object({ rows: z.number() }).parse(value),
  async run(_input, state, context) {
    const { rows } = await gateway.query(getCaller(context), {
      target: { source: "shop", sql: SQL },
      params: [],
      rowLimit: undefined,
    });
    if (state !== undefined) return jsonResult({ rows });
    const requestedSchema = { type: "object", properties: { ok: { type: "boolean" } } } as const;
    const params = { mode: "form", message: `Show ${rows.length} rows?`, requestedSchema } as const;
    const confirm = { method: "elicitation/create", params } as const;
    return { kind: "question", requestOptions: [{ confirm }], state: { rows: rows.length }, fallback: jsonResult({}) };
  },
};

const rounds = createInputRequiredTools({
  key: "a key for tests, of at least 32 bytes",
  ttlSeconds: 600,
  handles: openHandleStore(ledgerOf),
  replayGuard: createReplayGuard(gateway, (error) => void failures.push(error)),
  getSubjectId: (context) => getCaller(context).identity.subjectId,
  newId,
});

const handler = createMcpHandler(() => {
  const server = new McpServer(
    { name: "t", version: "1" },
    { requestState: { verify: async (state, context) => rounds.verify(state, context) } },
  );
  const config = { description: "Shows customers", inputSchema: z.object({}) };
  server.registerTool(showCustomers.name, config, rounds.createCallback(server, showCustomers));
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
  return (await handler.fetch(request, { authInfo: buildAuthInfo(caller, []) })).text();
}

/** Calls the tool without an answer and returns the requestState of its question. */
async function requestQuestion(): Promise<string> {
  return /"requestState":"([^"]+)"/.exec(await callTool())?.[1] ?? "";
}

async function change(...changes: readonly SqlStatement[]): Promise<void> {
  for (const statement of changes) await members.applyChange(statement);
  await roleChanges().propagate();
}

async function lastRecord() {
  const records = await ledgerOf(caller.identity.subjectId).listRecords(0, 1000);
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

describe("the outcome of a governed question", () => {
  it("is delivered again under the same grants, with an audit record", async () => {
    const state = await requestQuestion();
    const first = await callTool(state);
    expect(first).toContain(SECRETS.southName);
    expect(await callTool(state)).toBe(first);
    expect(await lastRecord()).toMatchObject({
      attempt: { operation: "replay", asked: expect.stringContaining("outcome of show_customers") },
      outcome: { result: "answered", roles: ["support"] },
    });
  });

  it("does not reveal on the wire the grants that produced it", async () => {
    const state = await requestQuestion();
    for (const body of [await callTool(state), await callTool(state)]) expect(body).not.toMatch(/digest|grants/);
  });

  it("is stored with the digests of its grants", async () => {
    const state = await requestQuestion();
    await callTool(state);
    const storedOutcome = await runInDurableObject(
      env.LEDGER.get(env.LEDGER.idFromName(caller.identity.subjectId)),
      (_object, { storage }) => storage.sql.exec<{ outcome: string }>("SELECT outcome FROM handle").one().outcome,
    );
    expect(JSON.parse(storedOutcome)).toMatchObject({
      grants: [{ digest: expect.stringMatching(/^[0-9a-f]{64}$/) }, { digest: expect.any(String) }],
    });
  });

  const changes: readonly (readonly [string, SqlStatement])[] = [
    ["the role was removed", removeRole(EMAIL, "support", by)],
    ["a role was added", addRole(EMAIL, "analyst", by)],
    ["an attribute changed", setAttributes(EMAIL, { region: "north" }, by)],
    ["the member was removed", removeMember(EMAIL, by)],
  ];
  it.each(changes)("is withheld and recorded as denied when %s", async (_change, statement) => {
    const state = await requestQuestion();
    expect(await callTool(state)).toContain(SECRETS.southName);
    await change(statement);
    const again = await callTool(state);
    expect(again).toMatch(/permissions have changed/i);
    expect(again).not.toContain(SECRETS.southName);
    expect(await lastRecord()).toMatchObject({
      attempt: { operation: "replay" },
      outcome: { result: "denied", denials: ["replay: grants_changed"] },
    });
  });

  it("is delivered again when the previous grants were restored", async () => {
    const state = await requestQuestion();
    const first = await callTool(state);
    await change(setAttributes(EMAIL, { region: "north" }, by));
    expect(await callTool(state)).not.toContain(SECRETS.southName);
    await change(setAttributes(EMAIL, { region: "south" }, by));
    expect(await callTool(state)).toBe(first);
  });

  it("is a refusal when the grants changed between question and answer", async () => {
    const state = await requestQuestion();
    await change(setAttributes(EMAIL, { region: "north" }, by));
    const refused = await callTool(state);
    expect(refused).toMatch(/permissions have changed since this question was asked/i);
    expect(refused).not.toMatch(/Nora|Sid/);
    expect(await lastRecord()).toMatchObject({ attempt: { operation: "replay" }, outcome: { result: "denied" } });
  });

  it.each(['{"content":[{"type":"text","text":"old"}]}', "null", '{"value":{"content":[]},"grants":"x"}'])(
    "is withheld when it is stored in the format of an older version or is malformed: %s",
    async (outcome) => {
      const state = await requestQuestion();
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
