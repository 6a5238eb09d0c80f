// Arguments as clients really send them: null and "" for what is not given, and integers as text. Over the wire of both eras, with the
// advertised schemas held byte for byte.
import { beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { memoised } from "../../src/server/memoised.ts";
import { seedShop } from "../support/seed.ts";
import { TOOLS_JSON } from "../support/tools-list.ts";
import { openSession, post, post2026, tokenOf } from "../support/worker.ts";

const ERAS = ["2025", "2026"] as const;
type Era = (typeof ERAS)[number];

let token = "";
let session = "";

beforeAll(async () => {
  await seedShop();
  token = await tokenOf("analyst");
  session = await openSession(token);
});

async function ask(era: Era, method: string, params: Record<string, unknown>): Promise<string> {
  const response =
    era === "2026"
      ? await post2026(token, method, params)
      : await post(token, { jsonrpc: "2.0", id: 1, method, params }, { "mcp-session-id": session });
  expect(response.status).toBe(200);
  return response.text();
}

interface Called {
  readonly isError: boolean;
  readonly text: string;
}

async function call(era: Era, name: string, args: unknown): Promise<Called> {
  const { result, error } = JSON.parse(await ask(era, "tools/call", { name, arguments: args }));
  if (error !== undefined) return { isError: true, text: String(error.message) };
  return { isError: result.isError === true, text: String(result.content[0].text) };
}

describe.each(ERAS)("in the %s era", (era) => {
  it("tools/list is the same, byte for byte, before and after arguments were converted", async () => {
    expect(await ask(era, "tools/list", {})).toContain(`"tools":${TOOLS_JSON}`);
    await call(era, "describe", { dataset: null });
    expect(await ask(era, "tools/list", {})).toContain(`"tools":${TOOLS_JSON}`);
  });

  const SAME: readonly (readonly [string, string, unknown, unknown])[] = [
    ["a null dataset of describe", "describe", { dataset: null }, {}],
    ["an empty dataset of describe", "describe", { dataset: "" }, {}],
    ["null in place of all arguments", "describe", null, {}],
    ["a null limit of search", "search", { query: "returns", limit: null }, { query: "returns" }],
    ["a limit of search as text", "search", { query: "returns", limit: "2" }, { query: "returns", limit: 2 }],
    [
      "a null page of fetch",
      "fetch",
      { id: "handbook/policies/returns.md", page: null },
      { id: "handbook/policies/returns.md" },
    ],
    [
      "a page of fetch as text",
      "fetch",
      { id: "handbook/policies/returns.md", page: "1" },
      { id: "handbook/policies/returns.md" },
    ],
    ["a null id of fetch", "fetch", { id: null }, {}],
    ["an empty id of fetch", "fetch", { id: "", page: null }, {}],
    ["a null query of search", "search", { query: null }, {}],
    ["a page below the least", "fetch", { id: "x", page: "0" }, { id: "x", page: 0 }],
    ["a negative page", "fetch", { id: "x", page: "-3" }, { id: "x", page: -3 }],
    ["a limit above the most", "search", { query: "x", limit: "51" }, { query: "x", limit: 51 }],
    ["nothing but nulls for query", "query", { source: null, sql: null, saved: null, params: null }, {}],
    ["SQL that is null", "query", { source: "shop", sql: null }, { source: "shop" }],
  ];
  it.each(SAME)("answers %s like arguments without it", async (_case, tool, sent, meant) => {
    expect(await call(era, tool, sent)).toEqual(await call(era, tool, meant));
  });

  it.each([
    ["null", { saved: null, params: null, limit: null }],
    ["an empty name", { saved: "", limit: "1" }],
  ])("runs a query whose other arguments are %s", async (_case, others) => {
    const sql = "SELECT 1 AS one";
    const { isError, text } = await call(era, "query", { source: "shop", sql, ...others });
    expect(text).toContain('"rows":[[1]]');
    expect(isError).toBe(false);
  });

  it("runs a saved query whose source is empty and whose SQL is null", async () => {
    const { text } = await call(era, "query", { source: "", sql: null, saved: "no-such-query" });
    expect(text).toMatch(/^not_found/);
    expect(text).toContain("no-such-query");
  });

  it("keeps null as NULL and text as text inside params", async () => {
    const sql = "SELECT typeof(?) AS a, typeof(?) AS b, typeof(?) AS c, typeof(?) AS d";
    const { text } = await call(era, "query", { source: "shop", sql, params: [null, "10", "", 10] });
    expect(text).toContain('"rows":[["null","text","text","integer"]]');
  });

  it.each([" 10", "10 ", "1e1", "0x10", "10.0", "010", "+10", "-0", "", "ten", "١٠", "99999999999999999999"])(
    "refuses %j as an integer",
    async (limit) => {
      const { isError, text } = await call(era, "search", { query: "returns", limit });
      expect(text).toContain("limit: Invalid input: expected number, received string");
      expect(isError).toBe(true);
    },
  );

  it("refuses an empty search query and empty SQL, each with an error of its own", async () => {
    expect((await call(era, "search", { query: "" })).text).toContain("query: Too small");
    const sql = await call(era, "query", { source: "shop", sql: "", saved: null });
    expect(sql.text).toContain("The SQL must be one statement");
    expect((await call(era, "query", { saved: "top", sql: "" })).text).toContain(
      "Give either source and sql, or saved",
    );
  });

  it("says which argument is missing when a required one is null or an empty name", async () => {
    for (const args of [{}, { id: null }, { id: "" }])
      expect(await call(era, "fetch", args)).toEqual({
        isError: true,
        text: "Input validation error: Invalid arguments for tool fetch: id: Invalid input: expected string, received undefined",
      });
  });

  it("refuses an unknown argument also when it is null", async () => {
    const { text } = await call(era, "describe", { dataset: null, table: null });
    expect(text).toContain('Unrecognized key: "table"');
  });
});

describe.each(ERAS)("prompts in the %s era", (era) => {
  it.each([
    ["answer-question", { question: null }, "question"],
    ["answer-question", null, "question"],
    ["explain-dataset", { dataset: null }, "dataset"],
    ["explain-dataset", { dataset: "" }, "dataset"],
    ["weekly-report", { source: "" }, "source"],
  ])("%s with %j says that the argument is missing", async (name, args, missing) => {
    const { error } = JSON.parse(await ask(era, "prompts/get", { name, arguments: args }));
    expect(error).toEqual({
      code: -32602,
      message: `Invalid arguments for prompt ${name}: ${missing}: Invalid input: expected string, received undefined`,
    });
  });

  it("leaves out arguments that are null and that a prompt does not have", async () => {
    const args = { question: "How many orders?", unused: null };
    expect(await ask(era, "prompts/get", { name: "answer-question", arguments: args })).toContain("How many orders?");
  });

  it("completes an argument whose context is null", async () => {
    const argument = { name: "dataset", value: "shop.cust" };
    const ref = { type: "ref/prompt", name: "explain-dataset" };
    for (const context of [null, { arguments: null }, { arguments: { source: null } }])
      expect(await ask(era, "completion/complete", { ref, argument, context })).toContain("shop.customers");
  });
});

describe("a tool of an organisation", () => {
  const schema = z.strictObject({
    since: z.iso.date().optional(),
    note: z.string().nullable().optional(),
    days: z.int().default(7),
    most: z.int().nullable().optional(),
    ratio: z.number().optional(),
    code: z.union([z.int(), z.string()]).optional(),
    filter: z.record(z.string(), z.unknown()).optional(),
    anything: z.unknown().optional(),
    region: z.string().optional(),
    label: z.string().optional(),
  });
  const parse = async (given: Record<string, unknown>): Promise<unknown> => {
    const parsed = await memoised(schema, ["region"])["~standard"].validate(given);
    return "value" in parsed ? parsed.value : parsed.issues.map(({ path, message }) => [path, message]);
  };

  it("gets null only where its schema takes null", async () => {
    expect(await parse({ since: null, note: null, days: null, most: null, anything: null, region: null })).toEqual({
      note: null,
      days: 7,
      most: null,
      anything: null,
    });
  });

  it('gets "" except in the arguments that it declares as names', async () => {
    expect(await parse({ region: "", label: "" })).toEqual({ days: 7, label: "" });
  });

  it("gets a number for text only in arguments that are integers and nothing else", async () => {
    expect(await parse({ days: "30", most: "5", code: "12", label: "12" })).toEqual({
      days: 30,
      most: 5,
      code: "12",
      label: "12",
    });
    expect(await parse({ ratio: "2" })).toEqual([[["ratio"], "Invalid input: expected number, received string"]]);
  });

  it("gets nested values as they were sent", async () => {
    const filter = { region: null, days: "30", label: "" };
    expect(await parse({ filter })).toEqual({ days: 7, filter });
  });

  it("gets an argument called __proto__ as a refusal, not as a prototype", async () => {
    expect(await parse(JSON.parse('{"__proto__": {"days": 1}, "since": null}'))).toEqual([
      [[], 'Unrecognized key: "__proto__"'],
    ]);
  });
});
