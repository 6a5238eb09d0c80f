// Reading documents from a KV namespace: text is returned as stored, and binary data only as its size, and other encodings are decoded.
import { env } from "cloudflare:workers";
import { beforeAll, expect, it } from "vitest";
import { callTool, tokenOf } from "../support/worker.ts";

const PNG = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52]);
/** Text in another encoding: invalid UTF-8 without a zero byte. */
const LATIN = new Uint8Array([0x67, 0x72, 0xfc, 0x6e, 0x20, 0xe4, 0xf6]);
let accessToken = "";

beforeAll(async () => {
  await env.HANDBOOK.put("logo.png", PNG);
  await env.HANDBOOK.put("old.txt", LATIN);
  await env.HANDBOOK.put("prices.csv", "sku,cents\nROP-1,1990\n");
  await env.HANDBOOK.put("one-bad.md", `# Mostly fine\n\n${"text ".repeat(200)}\uFFFD`);
  accessToken = await tokenOf("support");
});

it.each([
  ["logo.png", "This is not text: its 16 bytes are not shown."],
  ["old.txt", "grün äö"],
  ["prices.csv", "sku,cents\nROP-1,1990\n"],
])("fetches %s as %j", async (key, text) => {
  const { result } = await callTool(accessToken, "fetch", { id: `handbook/${key}` });
  expect(result["structuredContent"]).toMatchObject({ title: key, text });
});

it("shows a document that contains one invalid character", async () => {
  const { wire } = await callTool(accessToken, "fetch", { id: "handbook/one-bad.md" });
  expect(wire).toContain("Mostly fine");
  const search = await callTool(accessToken, "search", { query: "PNG IHDR" });
  expect(search.result["structuredContent"]).toMatchObject({
    results: [{ id: "handbook/logo.png", snippet: "This is not text: its 16 bytes are not shown." }],
  });
});
