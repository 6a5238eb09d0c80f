// Runs the official Inspector's command line against `npm start`, with an access token in the Authorization header.
import { beforeAll, describe, expect, inject, it } from "vitest";
import { createInspector } from "../support/node/inspector.ts";
import type { Inspector } from "../support/node/inspector.ts";
import { tokensFor } from "../support/oauth.ts";

const origin = inject("origin");
let inspector: Inspector;

beforeAll(async () => {
  const { accessToken } = await tokensFor({ origin, send: fetch }, "analyst@harbor.example");
  inspector = createInspector(`${origin}/mcp`, accessToken);
});

describe("the Inspector's command line", () => {
  it("lists the tools", async () => {
    const { tools }: { tools: { name: string }[] } = JSON.parse(await inspector.run("tools/list"));
    expect(tools.map((tool) => tool.name)).toEqual(["search", "fetch", "describe", "query", "change", "undo"]);
  });

  it("calls a tool", async () => {
    const answer = await inspector.call("query", { source: "shop", sql: "SELECT count(*) AS n FROM orders" });
    expect(answer).toMatchObject({ structuredContent: { columns: ["n"], rows: [[12_000]] } });
  });
});
