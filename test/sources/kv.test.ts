// Documents of a KV namespace: text comes as it is, of bytes only how many there are.
import { env } from "cloudflare:workers";
import { beforeAll, expect, it } from "vitest";
import { callTool, tokenOf } from "../support/worker.ts";

const PNG = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52]);
/** Without a zero byte: text of another encoding. */
const LATIN = new Uint8Array([0x67, 0x72, 0xfc, 0x6e, 0x20, 0xe4, 0xf6]);
let token = "";

beforeAll(async () => {
  await env.HANDBOOK.put("logo.png", PNG);
  await env.HANDBOOK.put("old.txt", LATIN);
  await env.HANDBOOK.put("prices.csv", "sku,cents\nROP-1,1990\n");
  await env.HANDBOOK.put("one-bad.md", `# Mostly fine\n\n${"text ".repeat(200)}\uFFFD`);
  token = await tokenOf("support");
});

it.each([
  ["logo.png", "This is no text: 16 bytes, which are not shown."],
  ["old.txt", "This is no text: 7 bytes, which are not shown."],
  ["prices.csv", "sku,cents\nROP-1,1990\n"],
])("%s", async (key, text) => {
  const { result } = await callTool(token, "fetch", { id: `handbook/${key}` });
  expect(result["structuredContent"]).toMatchObject({ title: key, text });
});

it("one character that cannot be read does not hide a document", async () => {
  const { wire } = await callTool(token, "fetch", { id: "handbook/one-bad.md" });
  expect(wire).toContain("Mostly fine");
  const found = await callTool(token, "search", { query: "PNG IHDR" });
  expect(found.result["structuredContent"]).toMatchObject({
    results: [{ id: "handbook/logo.png", snippet: "This is no text: 16 bytes, which are not shown." }],
  });
});
