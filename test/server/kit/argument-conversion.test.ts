// Arguments as real clients send them: null and "" for unused arguments, and integers as text. Tested over the wire of both eras,
// with the advertised schemas compared byte for byte.
import { beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { memoizeSchema } from "../../../src/server/kit/memoized-schema.ts";
import { seedShop } from "../../support/seed.ts";
import { TOOLS_JSON } from "../../support/tools-list.ts";
import { openSession, post, post2026, tokenOf } from "../../support/worker.ts";

const ERAS = ["2025", "2026"] as const;
type Era = (typeof ERAS)[number];

let token = "";
let session = "";

beforeAll(async () => {
  await seedShop();
  token = await tokenOf("analyst");
  session = await openSession(token);
});

async function request(era: Era, method: string, params: Record<string, unknown>): Promise<string> {
  const response =
    era === "2026"
      ? await post2026(token, method, params)
      : await post(token, { jsonrpc: "2.0", id: 1, method, params }, { "mcp-session-id": session });
  expect(response.status).toBe(200);
  return response.text();
}

interface ToolOutcome {
  readonly isError: boolean;
  readonly text: string;
}

async function call(era: Era, name: string, args: unknown): Promise<ToolOutcome> {
  const { result, error } = JSON.parse(await request(era, "tools/call", { name, arguments: args }));
  if (error !== undefined) return { isError: true, text: String(error.message) };
  return { isError: result.isError === true, text: String(result.content[0].text) };
}

describe.each(ERAS)("a tool call in the %s era", (era) => {
  it("does not change tools/list when its arguments are converted", async () => {
    expect(await request(era, "tools/list", {})).toContain(`"tools":${TOOLS_JSON}`);
    await call(era, "describe", { dataset: null });
    expect(await request(era, "tools/list", {})).toContain(`"tools":${TOOLS_JSON}`);
  });

  const EQUIVALENT: readonly (readonly [string, string, unknown, unknown])[] = [
    ["a null dataset for describe", "describe", { dataset: null }, {}],
    ["an empty dataset for describe", "describe", { dataset: "" }, {}],
    ["null in place of all arguments", "describe", null, {}],
    ["a null limit for search", "search", { query: "returns", limit: null }, { query: "returns" }],
    ["a limit for search as text", "search", { query: "returns", limit: "2" }, { query: "returns", limit: 2 }],
    [
      "a null page for fetch",
      "fetch",
      { id: "handbook/policies/returns.md", page: null },
      { id: "handbook/policies/returns.md" },
    ],
    [
      "a page for fetch as text",
      "fetch",
      { id: "handbook/policies/returns.md", page: "1" },
      { id: "handbook/policies/returns.md" },
    ],
    ["a null id for fetch", "fetch", { id: null }, {}],
    ["an empty id for fetch", "fetch", { id: "", page: null }, {}],
    ["a null query for search", "search", { query: null }, {}],
    ["a page below the minimum as text", "fetch", { id: "x", page: "0" }, { id: "x", page: 0 }],
    ["a negative page as text", "fetch", { id: "x", page: "-3" }, { id: "x", page: -3 }],
    ["a limit above the maximum as text", "search", { query: "x", limit: "51" }, { query: "x", limit: 51 }],
    ["only nulls for query", "query", { source: null, sql: null, saved: null, params: null }, {}],
    ["null SQL for query", "query", { source: "shop", sql: null }, { source: "shop" }],
  ];
  it.each(EQUIVALENT)("treats %s like the converted arguments", async (_case, tool, sentArguments, meantArguments) => {
    expect(await call(era, tool, sentArguments)).toEqual(await call(era, tool, meantArguments));
  });

  it.each([
    ["are null", { saved: null, params: null, limit: null }],
    ["are an empty name and an integer as text", { saved: "", limit: "1" }],
  ])("runs a query when the optional arguments %s", async (_case, optionalArguments) => {
    const sql = "SELECT 1 AS one";
    const { isError, text } = await call(era, "query", { source: "shop", sql, ...optionalArguments });
    expect(text).toContain('"rows":[[1]]');
    expect(isError).toBe(false);
  });

  it("looks up a saved query when the source is empty and the SQL is null", async () => {
    const { text } = await call(era, "query", { source: "", sql: null, saved: "no-such-query" });
    expect(text).toMatch(/^not_found/);
    expect(text).toContain("no-such-query");
  });

  it("does not convert null, text and numbers inside params", async () => {
    const sql = "SELECT typeof(?) AS a, typeof(?) AS b, typeof(?) AS c, typeof(?) AS d";
    const { text } = await call(era, "query", { source: "shop", sql, params: [null, "10", "", 10] });
    expect(text).toContain('"rows":[["null","text","text","integer"]]');
  });

  it.each([" 10", "10 ", "1e1", "0x10", "10.0", "010", "+10", "-0", "", "ten", "١٠", "99999999999999999999"])(
    "refuses the text %j for an integer argument",
    async (limit) => {
      const { isError, text } = await call(era, "search", { query: "returns", limit });
      expect(text).toContain("limit: Invalid input: expected number, received string");
      expect(isError).toBe(true);
    },
  );

  it("refuses an empty search query and empty SQL with separate errors", async () => {
    expect((await call(era, "search", { query: "" })).text).toContain("query: Too small");
    const sql = await call(era, "query", { source: "shop", sql: "", saved: null });
    expect(sql.text).toContain("The SQL must be one statement");
    expect((await call(era, "query", { saved: "top", sql: "" })).text).toContain(
      "Give either source and sql, or saved",
    );
  });

  it("names the missing argument when a required argument is absent, null or an empty name", async () => {
    for (const args of [{}, { id: null }, { id: "" }])
      expect(await call(era, "fetch", args)).toEqual({
        isError: true,
        text: [
          "Input validation error: Invalid arguments for tool fetch: id:",
          "Invalid input: expected string, received undefined",
        ].join(" "),
      });
  });

  it("refuses an unknown argument even when it is null", async () => {
    const { text } = await call(era, "describe", { dataset: null, table: null });
    expect(text).toContain('Unrecognized key: "table". The arguments are: dataset.');
  });

  it("lists the right arguments when some are unknown, with those that were meant", async () => {
    expect(await call(era, "query", { sources: "shop", query: "SELECT 1" })).toEqual({
      isError: true,
      text: [
        'Input validation error: Invalid arguments for tool query: Unrecognized keys: "sources", "query".',
        "Did you mean source? The arguments are: source, sql, saved, params, limit. Give source and sql, or saved.",
      ].join(" "),
    });
    const { text } = await call(era, "fetch", { uri: "shop.customers" });
    expect(text).toContain("id: Invalid input: expected string, received undefined");
    expect(text).toContain('Unrecognized key: "uri". The arguments are: id, page.');
  });
});

describe.each(ERAS)("a prompt request in the %s era", (era) => {
  it.each([
    ["answer-question", { question: null }, "question"],
    ["answer-question", null, "question"],
    ["explain-dataset", { dataset: null }, "dataset"],
    ["explain-dataset", { dataset: "" }, "dataset"],
    ["weekly-report", { source: "" }, "source"],
  ])("for %s with %j gets an error that names the missing argument", async (name, args, missing) => {
    const { error } = JSON.parse(await request(era, "prompts/get", { name, arguments: args }));
    expect(error).toEqual({
      code: -32602,
      message: `Invalid arguments for prompt ${name}: ${missing}: Invalid input: expected string, received undefined`,
    });
  });

  it("may contain an unknown argument that is null", async () => {
    const args = { question: "How many orders?", unused: null };
    expect(await request(era, "prompts/get", { name: "answer-question", arguments: args })).toContain(
      "How many orders?",
    );
  });

  it("gets completions when the completion context is null", async () => {
    const argument = { name: "dataset", value: "shop.cust" };
    const ref = { type: "ref/prompt", name: "explain-dataset" };
    for (const context of [null, { arguments: null }, { arguments: { source: null } }])
      expect(await request(era, "completion/complete", { ref, argument, context })).toContain("shop.customers");
  });
});

describe("a custom tool", () => {
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
  const parse = async (sentArguments: Record<string, unknown>): Promise<unknown> => {
    const parsed = await memoizeSchema(schema, ["region"])["~standard"].validate(sentArguments);
    return "value" in parsed ? parsed.value : parsed.issues.map(({ path, message }) => [path, message]);
  };

  it("gets null only where its schema allows null", async () => {
    expect(await parse({ since: null, note: null, days: null, most: null, anything: null, region: null })).toEqual({
      note: null,
      days: 7,
      most: null,
      anything: null,
    });
  });

  it('gets "" except in arguments declared as names', async () => {
    expect(await parse({ region: "", label: "" })).toEqual({ days: 7, label: "" });
  });

  it("gets text converted to a number only where its schema allows integers but not text", async () => {
    expect(await parse({ days: "30", most: "5", code: "12", label: "12" })).toEqual({
      days: 30,
      most: 5,
      code: "12",
      label: "12",
    });
    expect(await parse({ ratio: "2" })).toEqual([[["ratio"], "Invalid input: expected number, received string"]]);
  });

  it("gets nested values unconverted", async () => {
    const filter = { region: null, days: "30", label: "" };
    expect(await parse({ filter })).toEqual({ days: 7, filter });
  });

  it("refuses an argument named __proto__ instead of using it as a prototype", async () => {
    expect(await parse(JSON.parse('{"__proto__": {"days": 1}, "since": null}'))).toEqual([
      [[], expect.stringMatching(/^Unrecognized key: "__proto__"\. The arguments are: since, note, /)],
    ]);
  });
});
