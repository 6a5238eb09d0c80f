// Runs the official Inspector's command line against `npm start`, with an access token in the Authorization header.
import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { tokensFor } from "../support/oauth.ts";

const run = promisify(execFile);
const BIN = path.resolve(import.meta.dirname, "../../node_modules/.bin/mcp-inspector");
const origin = inject("origin");
let token = "";

beforeAll(async () => {
  token = (await tokensFor({ origin, send: fetch }, "analyst@harbor.example")).accessToken;
});

async function inspect(...args: readonly string[]): Promise<string> {
  const all = [
    BIN,
    "--cli",
    `${origin}/mcp`,
    "--transport",
    "http",
    "--header",
    `Authorization: Bearer ${token}`,
    ...args,
  ];
  return (await run(process.execPath, all, { timeout: 25_000 })).stdout;
}

describe("the Inspector's command line", () => {
  it("lists the tools", async () => {
    const { tools }: { tools: { name: string }[] } = JSON.parse(await inspect("--method", "tools/list"));
    expect(tools.map((tool) => tool.name)).toEqual(["search", "fetch", "describe", "query", "change", "undo"]);
  });

  it("calls a tool", async () => {
    const out = await inspect(
      "--method",
      "tools/call",
      "--tool-name",
      "query",
      "--tool-arg",
      "source=shop",
      "--tool-arg",
      "sql=SELECT count(*) AS n FROM orders",
    );
    expect(JSON.parse(out)).toMatchObject({ structuredContent: { columns: ["n"], rows: [[12_000]] } });
  });
});
