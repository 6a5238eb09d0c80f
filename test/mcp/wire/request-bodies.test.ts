// Request bodies at /mcp in both eras: content coding, batches, and the parameters of each method.
import { beforeAll, describe, expect, it } from "vitest";
import { readJson } from "../../support/oauth.ts";
import { initialize, openSession, post, post2026, tokenOf } from "../../support/worker.ts";

let token = "";
let session: Record<string, string> = {};

beforeAll(async () => {
  token = await tokenOf("analyst");
  session = { "mcp-session-id": await openSession(token), "mcp-protocol-version": "2025-11-25" };
});

const list = { jsonrpc: "2.0", id: 2, method: "tools/list" };

interface Malformed {
  readonly method: string;
  readonly params: Record<string, unknown>;
  /** The path of the malformed parameter. */
  readonly place: string;
}

const LISTS = ["tools/list", "prompts/list", "resources/list", "resources/templates/list"];
const MALFORMED: readonly Malformed[] = [
  ...LISTS.flatMap((method) =>
    [null, 5, {}, ["secret-value"], true].map((cursor) => ({ method, params: { cursor }, place: "params.cursor" })),
  ),
  { method: "tools/call", params: {}, place: "params.name" },
  { method: "tools/call", params: { name: null }, place: "params.name" },
  { method: "tools/call", params: { name: 5, arguments: {} }, place: "params.name" },
  { method: "tools/call", params: { name: "search", arguments: "secret-value" }, place: "params.arguments" },
  { method: "tools/call", params: { name: "search", arguments: ["secret-value"] }, place: "params.arguments" },
  { method: "prompts/get", params: {}, place: "params.name" },
  { method: "prompts/get", params: { name: null }, place: "params.name" },
  { method: "prompts/get", params: { name: "answer-question", arguments: "secret-value" }, place: "params.arguments" },
  { method: "prompts/get", params: { name: "answer-question", arguments: { question: 5 } }, place: "params.arguments" },
  { method: "resources/read", params: {}, place: "params.uri" },
  { method: "resources/read", params: { uri: null }, place: "params.uri" },
  { method: "resources/read", params: { uri: ["secret-value"] }, place: "params.uri" },
  { method: "completion/complete", params: {}, place: "params.ref" },
  { method: "completion/complete", params: { ref: { type: "secret-value" }, argument: {} }, place: "params.ref" },
  {
    method: "completion/complete",
    params: { ref: { type: "ref/prompt", name: "answer-question" }, argument: { name: "question", value: null } },
    place: "params.argument.value",
  },
];

describe.each(["2025", "2026"])("request parameters in the %s era", (era) => {
  it.each(MALFORMED)(
    "are refused as invalid params without the sent value: $method $params",
    async ({ method, params, place }) => {
      const response =
        era === "2026"
          ? await post2026(token, method, params)
          : await post(token, { jsonrpc: "2.0", id: 7, method, params }, session);
      const { error } = (await readJson(response)) as { error: { code: number; message: string } };
      expect(error.code).toBe(-32602);
      expect(error.message).toContain(`Invalid params for ${method}: ${place}`);
      expect(error.message).not.toMatch(/[[{\n]|secret-value|invalid_type/);
    },
  );

  it("reach their method when they are well formed", async () => {
    const request = async (method: string, params: Record<string, unknown>) =>
      readJson(
        era === "2026"
          ? await post2026(token, method, params)
          : await post(token, { jsonrpc: "2.0", id: 8, method, params }, session),
      );
    expect(await request("tools/list", {})).toMatchObject({ result: { tools: expect.any(Array) } });
    expect(await request("resources/list", { cursor: "foreign" })).toMatchObject({
      error: { code: -32602, message: expect.stringContaining("Start again without a cursor") },
    });
    expect(await request("resources/read", { uri: "gatehouse://nothing" })).toMatchObject({
      error: { message: expect.stringContaining("gatehouse://nothing") },
    });
  });
});

it("refuses a malformed request in a batch as invalid params and answers the other requests", async () => {
  const batchSession = { "mcp-session-id": await openSession(token, "2025-03-26") };
  const batch = [{ ...list, id: 3, params: { cursor: null } }, list];
  const answers: unknown = await (await post(token, batch, batchSession)).json();
  expect(answers).toHaveLength(2);
  expect(answers).toEqual(
    expect.arrayContaining([
      { jsonrpc: "2.0", id: 3, error: { code: -32602, message: expect.stringContaining("params.cursor") } },
      expect.objectContaining({ id: 2, result: expect.anything() }),
    ]),
  );
});

it("refuses a batch of more than 50 messages as a whole", async () => {
  const batch = Array.from({ length: 51 }, (_value, id) => ({ jsonrpc: "2.0", id, method: "ping" }));
  const response = await post(token, batch, session);
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ error: { code: -32600 } });
});

describe("initialize", () => {
  const HEADERS = ["2026-07-28", "2025-06-18", "2024-11-05", "1999-01-01", "2030-01-01", "nonsense", ""];
  it.each(HEADERS)("negotiates by its parameters when its MCP-Protocol-Version header is %j", async (header) => {
    const headers = { "mcp-protocol-version": header, "mcp-method": "initialize" };
    for (const [requested, negotiated] of [
      ["2025-06-18", "2025-06-18"],
      ["2026-07-28", "2025-11-25"],
      ["1999-01-01", "2025-11-25"],
    ]) {
      const response = await post(token, initialize(requested), headers);
      expect(response.status).toBe(200);
      expect(response.headers.get("mcp-session-id")).not.toBeNull();
      expect(await response.json()).toMatchObject({ id: 1, result: { protocolVersion: negotiated } });
    }
  });

  it("is the only request whose MCP-Protocol-Version header is not checked", async () => {
    expect((await post(token, list, { ...session, "mcp-protocol-version": "1999-01-01" })).status).toBe(400);
    const notification = { jsonrpc: "2.0", method: "notifications/initialized" };
    expect((await post(token, notification, { ...session, "mcp-protocol-version": "nonsense" })).status).toBe(400);
  });
});

describe("a body with the content coding", () => {
  it.each(["gzip", "GZIP", "br", "deflate", "zstd", "x-gzip", "gzip, identity", "identity,br", "nonsense"])(
    "%j is refused with 415 and the accepted coding",
    async (coding) => {
      for (const headers of [{ ...session }, { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/list" }]) {
        const response = await post(token, list, { ...headers, "content-encoding": coding });
        expect(response.status).toBe(415);
        expect(response.headers.get("accept-encoding")).toBe("identity");
        expect(await response.json()).toMatchObject({ jsonrpc: "2.0", id: null, error: { code: -32000 } });
      }
    },
  );

  it("gzip is refused with 415, not with a parse error, when it is really compressed", async () => {
    const stream = new Blob([JSON.stringify(list)]).stream().pipeThrough(new CompressionStream("gzip"));
    const body = await new Response(stream).text();
    const response = await post(token, body, { ...session, "content-encoding": "gzip" });
    expect(response.status).toBe(415);
  });

  it.each(["identity", "Identity"])("%j is accepted", async (coding) => {
    expect((await post(token, list, { ...session, "content-encoding": coding })).status).toBe(200);
  });
});
