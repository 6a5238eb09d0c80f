// Prompts, completions and pages of resources, over the wire of the 2026 era: each user gets only what that user may see.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { readJson } from "../support/oauth.ts";
import { seedShop } from "../support/seed.ts";
import { callTool, post2026, tokenOf } from "../support/worker.ts";

const tokens = new Map<string, string>();

beforeAll(async () => {
  await seedShop();
  for (const name of ["analyst", "support", "guest"] as const) tokens.set(name, await tokenOf(name));
});

async function request(
  account: string,
  method: string,
  params: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  return readJson(await post2026(tokens.get(account) ?? "", method, params));
}

describe("prompts", () => {
  it("are listed with their arguments", async () => {
    const { result } = await request("guest", "prompts/list", {});
    expect(Object(result).prompts).toMatchObject([
      { name: "answer-question", arguments: [{ name: "question", required: true }] },
      { name: "explain-dataset", arguments: [{ name: "dataset", required: true }] },
      { name: "weekly-report", arguments: [{ name: "source", required: true }] },
    ]);
  });

  it.each([
    ["analyst", "answer-question", { question: "How many orders?" }, "How many orders?", "salaries"],
    ["analyst", "explain-dataset", { dataset: "shop.customers" }, "last(3)", "notes"],
    ["support", "weekly-report", { source: "shop" }, "shop.tickets", "shop.orders"],
    ["guest", "answer-question", { question: "Anything?" }, "no role", "customers"],
  ])("for %s: %s contains only data that the user may see", async (account, name, args, expected, forbidden) => {
    const { result } = await request(account, "prompts/get", { name, arguments: args });
    const text = JSON.stringify(result);
    expect(text).toContain(expected);
    expect(text).not.toContain(forbidden);
  });

  it("answer for a hidden dataset exactly as for one that does not exist", async () => {
    const get = async (dataset: string) =>
      (await request("support", "prompts/get", { name: "explain-dataset", arguments: { dataset } }))["error"];
    expect(JSON.stringify(await get("shop.orders")).replaceAll("shop.orders", "x")).toBe(
      JSON.stringify(await get("shop.ordres")).replaceAll("shop.ordres", "x"),
    );
  });
});

describe("completions", () => {
  const PROMPT = { type: "ref/prompt", name: "explain-dataset" };
  const template = (uri: string) => ({ type: "ref/resource", uri });
  it.each([
    ["analyst", PROMPT, "dataset", "shop.or", {}, ["shop.orders", "shop.order_items"]],
    ["support", PROMPT, "dataset", "shop.or", {}, []],
    ["guest", PROMPT, "dataset", "", {}, []],
    ["analyst", PROMPT, "source", "O", {}, ["ops"]],
    ["analyst", template("gatehouse://dataset/{source}/{table}"), "table", "ware", { source: "ops" }, ["warehouses"]],
    ["support", template("gatehouse://dataset/{source}/{table}"), "table", "", { source: "ops" }, []],
    [
      "support",
      template("gatehouse://document/{source}/{+key}"),
      "key",
      "policies/",
      { source: "handbook" },
      ["policies/returns.md"],
    ],
    ["guest", template("gatehouse://document/{source}/{+key}"), "key", "", { source: "handbook" }, []],
    [
      "analyst",
      template("gatehouse://dataset/{source}/{table}/{key}"),
      "key",
      "",
      { source: "shop", table: "customers" },
      [],
    ],
    ["analyst", PROMPT, "nonsense", "", {}, []],
  ])("for %s: %j completes %s from %j with visible values only", async (account, ref, name, value, args, values) => {
    const { result } = await request(account, "completion/complete", {
      ref,
      argument: { name, value },
      context: { arguments: args },
    });
    expect(Object(result).completion).toEqual({
      values: expect.arrayContaining(values),
      total: values.length,
      hasMore: false,
    });
  });

  it("suggest a stored result", async () => {
    await callTool(tokens.get("analyst") ?? "", "query", { source: "shop", sql: "SELECT 1" });
    const { result } = await request("analyst", "completion/complete", {
      ref: template("gatehouse://result/{id}"),
      argument: { name: "id", value: "r" },
    });
    expect(Object(result).completion).toEqual({ values: ["r1"], total: 1, hasMore: false });
  });
});

describe("resources/list", () => {
  it("returns each resource once over several pages", async () => {
    await Promise.all(
      Array.from({ length: 130 }, async (_value, index) => env.HANDBOOK.put(`many/${index}.md`, "# One of many")),
    );
    const uris: string[] = [];
    const sizes: number[] = [];
    for (let cursor: string | undefined, page = 0; page < 5; page += 1) {
      const { result } = await request("support", "resources/list", cursor === undefined ? {} : { cursor });
      const { resources, nextCursor, ttlMs } = Object(result);
      expect(ttlMs).toBe(0);
      uris.push(...resources.map(({ uri }: { uri: string }) => uri));
      sizes.push(resources.length);
      if (nextCursor === undefined) break;
      cursor = nextCursor;
    }
    expect(sizes).toEqual([100, 36]);
    expect(new Set(uris).size).toBe(uris.length);
    expect((await request("support", "resources/list", { cursor: "x" }))["error"]).toMatchObject({ code: -32602 });
  });
});
