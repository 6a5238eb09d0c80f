// Header values in the encoded form of the 2026 revision (`=?base64?…?=`), in which clients may send any value: read like the plain one.
import { beforeAll, describe, expect, it } from "vitest";
import { decodeHeaderValue } from "../../src/mcp/header-values.ts";
import { readJson } from "../support/oauth.ts";
import { seedShop } from "../support/seed.ts";
import { RESOURCE, openSession, post, post2026, send, tokenOf } from "../support/worker.ts";

let token = "";

beforeAll(async () => {
  await seedShop();
  token = await tokenOf("analyst");
});

function encoded(text: string): string {
  return `=?base64?${btoa(String.fromCharCode(...new TextEncoder().encode(text)))}?=`;
}

describe("an encoded header", () => {
  it.each([
    ["tools/call", { name: "describe", arguments: {} }, "describe", "Harbor"],
    ["prompts/get", { name: "answer-question", arguments: { question: "Why?" } }, "answer-question", "Why?"],
    ["resources/read", { uri: "gatehouse://dataset/shop/orders" }, "gatehouse://dataset/shop/orders", "orders"],
  ])("Mcp-Name is read like the plain name by %s", async (method, params, name, has) => {
    const plain = await readJson(await post2026(token, method, params));
    const response = await readJson(await post2026(token, method, params, { "mcp-name": encoded(name) }));
    expect(response["error"]).toBeUndefined();
    expect(JSON.stringify(response)).toContain(has);
    expect(response).toEqual(plain);
  });

  it.each(["mcp-method", "mcp-protocol-version"])("%s is read like the plain value", async (header) => {
    const value = header === "mcp-method" ? "tools/list" : "2026-07-28";
    const response = await post2026(token, "tools/list", {}, { [header]: encoded(value) });
    expect(await readJson(response)).toMatchObject({ result: { tools: [{ name: "search" }, {}, {}, {}] } });
  });

  it("MCP-Protocol-Version of the 2026 era makes GET 405, as the plain one does", async () => {
    const headers = { authorization: `Bearer ${token}`, "mcp-protocol-version": encoded("2026-07-28") };
    expect((await send(RESOURCE, { headers })).status).toBe(405);
  });

  it("Mcp-Session-Id, MCP-Protocol-Version and Last-Event-ID are read in the 2025 era", async () => {
    const session = await openSession(token);
    const headers = { "mcp-session-id": encoded(session), "mcp-protocol-version": encoded("2025-11-25") };
    expect((await post(token, { jsonrpc: "2.0", id: 2, method: "tools/list" }, headers)).status).toBe(200);
    const listening = { authorization: `Bearer ${token}`, accept: "text/event-stream", ...headers };
    const response = await send(RESOURCE, { headers: { ...listening, "last-event-id": encoded("no id") } });
    expect(await response.json()).toMatchObject({ error: { message: "Last-Event-ID is no id of this server." } });
    expect((await send(RESOURCE, { method: "DELETE", headers: listening })).status).toBeLessThan(300);
  });

  it("that names another tool than the body is refused", async () => {
    const params = { name: "describe", arguments: {} };
    const response = await post2026(token, "tools/call", params, { "mcp-name": encoded("query") });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { code: -32020 } });
  });
});

const BROKEN: readonly (readonly [string, string])[] = [
  ["characters outside of the alphabet", "=?base64?%%%%?="],
  ["no padding", "=?base64?YQ?="],
  ["padding in the middle", "=?base64?YQ==YQ==?="],
  ["the URL alphabet", "=?base64?_-_-?="],
  ["spaces", "=?base64?YW Jj?="],
  ["bytes that are no UTF-8", "=?base64?/w==?="],
];

describe.each(["Mcp-Method", "Mcp-Name", "MCP-Protocol-Version", "Mcp-Session-Id", "Last-Event-ID"])("%s", (header) => {
  it.each(BROKEN)("is 400 with its name when it is encoded with %s", async (_what, value) => {
    const params = { name: "describe", arguments: {} };
    for (const response of [
      await post2026(token, "tools/call", params, { [header.toLowerCase()]: value }),
      await send(RESOURCE, { headers: { authorization: `Bearer ${token}`, [header]: value } }),
    ]) {
      expect(response.status).toBe(400);
      expect(await response.json()).toEqual({
        jsonrpc: "2.0",
        error: { code: -32020, message: `Bad Request: the ${header} header is not valid Base64 of UTF-8 text.` },
        id: null,
      });
    }
  });
});

describe("a header that may be ASCII only", () => {
  it.each(["tools/líst", "tools/list\r\nX: y", "tools\u0000", "\u{1f600}"])(
    "is 400 when it hides %j",
    async (value) => {
      const response = await post2026(token, "tools/list", {}, { "mcp-method": encoded(value) });
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({ error: { code: -32020 } });
    },
  );
});

describe("decodeHeaderValue", () => {
  it.each([
    ["plain", "plain"],
    ["", ""],
    ["=?base64?", "=?base64?"],
    ["=?base64?YQ==", "=?base64?YQ=="],
    ["=?utf-8?B?YQ==?=", "=?utf-8?B?YQ==?="],
    ["=?base64??=", ""],
    ["=?base64?w7xtbMOkdXQ=?=", "ümläut"],
    ["=?base64?PT9iYXNlNjQ/WVE9PT89?=", "=?base64?YQ==?="],
  ])("reads %j as %j", (value, expected) => {
    expect(decodeHeaderValue(value)).toBe(expected);
  });
});
