// Lone surrogates in what a client sends: refused everywhere, never replaced.
import { beforeAll, expect, it } from "vitest";
import { readJson } from "../support/oauth.ts";
import { ACCEPT, RESOURCE, callTool, openSession, post, post2026, send, tokenOf } from "../support/worker.ts";

const HALF = "x\ud83d";
let token = "";
beforeAll(async () => {
  token = await tokenOf("owner");
});

it.each<readonly [string, Record<string, unknown>, string]>([
  ["search", { query: HALF }, "query"],
  ["fetch", { id: `handbook/${HALF}` }, "id"],
  ["describe", { dataset: HALF }, "dataset"],
  ["query", { source: "shop", sql: `SELECT '${HALF}'` }, "sql"],
  ["query", { source: HALF, sql: "SELECT 1" }, "source"],
  ["query", { saved: HALF }, "saved"],
  ["query", { source: "shop", sql: "SELECT ?, ?", params: [1, "\udc00x"] }, "params[1]"],
  ["query", { source: "shop", sql: "SELECT ?", params: [{ a: [HALF] }] }, "params[0].a[0]"],
])("refuses %s with half a character in its arguments %j and names %s", async (tool, input, path) => {
  const { result, wire } = await callTool(token, tool, input);
  expect(result).toMatchObject({
    isError: true,
    structuredContent: {
      error: {
        code: "invalid_input",
        message: `${path} has half of a Unicode character (a lone surrogate). Remove it, or send the whole character.`,
      },
    },
  });
  expect(wire).not.toContain("\ufffd");
});

it.each<readonly [string, Record<string, unknown>, string]>([
  ["prompts/get", { name: "answer-question", arguments: { question: HALF } }, "question"],
  ["prompts/get", { name: "explain-dataset", arguments: { dataset: HALF } }, "dataset"],
  ["prompts/get", { name: "weekly-report", arguments: { source: HALF } }, "source"],
  ["resources/list", { cursor: HALF }, "cursor"],
  [
    "completion/complete",
    {
      ref: { type: "ref/resource", uri: "gatehouse://document/{source}/{+key}" },
      argument: { name: "key", value: HALF },
      context: { arguments: { source: "handbook" } },
    },
    "argument.value",
  ],
  [
    "completion/complete",
    {
      ref: { type: "ref/resource", uri: "gatehouse://document/{source}/{+key}" },
      argument: { name: "key", value: "x" },
      context: { arguments: { source: HALF } },
    },
    "context.arguments.source",
  ],
])("refuses %s with half a character in %j and names %s", async (method, params, path) => {
  const { error } = await readJson(await post2026(token, method, params));
  expect(error).toMatchObject({ code: -32602, message: expect.stringContaining(`${path} has half of a Unicode`) });
});

it("refuses a resource URI with half a character in a session, whose headers do not repeat the URI", async () => {
  const session = { "mcp-session-id": await openSession(token) };
  const params = { uri: `gatehouse://document/handbook/${HALF}` };
  const { error } = await readJson(
    await post(token, { jsonrpc: "2.0", id: 2, method: "resources/read", params }, session),
  );
  expect(error).toMatchObject({ code: -32602, message: expect.stringContaining("uri has half of a Unicode") });
});

it("accepts whole characters beyond the basic plane", async () => {
  const { result } = await callTool(token, "query", { source: "shop", sql: "SELECT ? AS x", params: ["🦀"] });
  expect(result["structuredContent"]).toMatchObject({ rows: [["🦀"]] });
});

it("refuses a body whose bytes are not UTF-8, such as half a character", async () => {
  const body = new TextEncoder().encode(
    JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: { name: "search", arguments: { query: "x?" } },
    }),
  );
  const halfCharacter = [0xed, 0xa0, 0xbd];
  const at = body.lastIndexOf("?".charCodeAt(0));
  const response = await send(RESOURCE, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json", accept: ACCEPT },
    body: new Uint8Array([...body.slice(0, at), ...halfCharacter, ...body.slice(at + 1)]),
  });
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ error: { code: -32700 } });
});
