// Header values in the Base64 form of revision 2026-07-28 (`=?base64?…?=`), which must be treated like the plain values.
import { beforeAll, describe, expect, it } from "vitest";
import { decodeHeaderValue } from "../../../src/mcp/wire/header-values.ts";
import { readJson } from "../../support/oauth.ts";
import { seedShop } from "../../support/seed.ts";
import { RESOURCE, openSession, post, post2026, send, tokenOf } from "../../support/worker.ts";

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
  ])("Mcp-Name gives %s the same response as the plain name", async (method, params, name, expectedText) => {
    const plainResponse = await readJson(await post2026(token, method, params));
    const response = await readJson(await post2026(token, method, params, { "mcp-name": encoded(name) }));
    expect(response["error"]).toBeUndefined();
    expect(JSON.stringify(response)).toContain(expectedText);
    expect(response).toEqual(plainResponse);
  });

  it.each(["mcp-method", "mcp-protocol-version"])("%s is treated like the plain value", async (header) => {
    const value = header === "mcp-method" ? "tools/list" : "2026-07-28";
    const response = await post2026(token, "tools/list", {}, { [header]: encoded(value) });
    expect(await readJson(response)).toMatchObject({ result: { tools: [{ name: "search" }, {}, {}, {}, {}, {}] } });
  });

  it("MCP-Protocol-Version of the 2026 era makes GET answer 405 like the plain value", async () => {
    const headers = { authorization: `Bearer ${token}`, "mcp-protocol-version": encoded("2026-07-28") };
    expect((await send(RESOURCE, { headers })).status).toBe(405);
  });

  it("Mcp-Session-Id, MCP-Protocol-Version or Last-Event-ID is decoded in the 2025 era", async () => {
    const session = await openSession(token);
    const headers = { "mcp-session-id": encoded(session), "mcp-protocol-version": encoded("2025-11-25") };
    expect((await post(token, { jsonrpc: "2.0", id: 2, method: "tools/list" }, headers)).status).toBe(200);
    const listening = { authorization: `Bearer ${token}`, accept: "text/event-stream", ...headers };
    const response = await send(RESOURCE, { headers: { ...listening, "last-event-id": encoded("no id") } });
    expect(await response.json()).toMatchObject({
      error: { message: "Last-Event-ID is not an event id of this server." },
    });
    expect((await send(RESOURCE, { method: "DELETE", headers: listening })).status).toBeLessThan(300);
  });

  it("Mcp-Name is refused when it names a different tool than the body", async () => {
    const params = { name: "describe", arguments: {} };
    const response = await post2026(token, "tools/call", params, { "mcp-name": encoded("query") });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { code: -32020 } });
  });
});

const BROKEN: readonly (readonly [string, string])[] = [
  ["characters outside the alphabet", "=?base64?%%%%?="],
  ["no padding", "=?base64?YQ?="],
  ["padding in the middle", "=?base64?YQ==YQ==?="],
  ["the URL alphabet", "=?base64?_-_-?="],
  ["spaces", "=?base64?YW Jj?="],
  ["bytes that are not UTF-8", "=?base64?/w==?="],
];

describe.each(["Mcp-Method", "Mcp-Name", "MCP-Protocol-Version", "Mcp-Session-Id", "Last-Event-ID"])(
  "a %s header",
  (header) => {
    it.each(BROKEN)("is refused with 400 and its name when its Base64 has %s", async (_what, value) => {
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
  },
);

describe("an ASCII-only header", () => {
  it.each(["tools/líst", "tools/list\r\nX: y", "tools\u0000", "\u{1f600}"])(
    "is refused with 400 when it decodes to %j",
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
  ])("decodes %j to %j", (value, expected) => {
    expect(decodeHeaderValue(value)).toBe(expected);
  });
});
