// Tests `gatehouse explain-query` over the sample's local state, beside the running server.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { CliError } from "../../cli/kit/cli-error.ts";
import { withOwnDatabase } from "../../cli/own-database/own-database.ts";
import { addMemberRole, setMemberAttributes } from "../../cli/own-database/members.ts";
import { explainQueryOf } from "../../cli/query-report/explain-query.ts";
import { ROOT } from "../support/node/worker.ts";

const MEMBER = "explained@harbor.example";
const stateDir = inject("stateDir");
const stateBefore = process.env["GATEHOUSE_STATE"];
const folder = mkdtempSync(path.join(tmpdir(), "gatehouse-explain-"));

/** Runs the command as an operator does, and returns what it prints. */
function run(...args: readonly string[]): string {
  const env = { ...process.env, GATEHOUSE_STATE: stateDir, INIT_CWD: folder };
  return execFileSync(process.execPath, ["cli/main.ts", "explain-query", ...args], {
    cwd: ROOT,
    env,
    encoding: "utf8",
  });
}

beforeAll(async () => {
  process.env["GATEHOUSE_STATE"] = stateDir;
  await withOwnDatabase({ sample: true }, async (database) => {
    await addMemberRole(database, MEMBER, "support");
    await setMemberAttributes(database, MEMBER, ["region=south"]);
  });
  writeFileSync(path.join(folder, "report.sql"), "SELECT address FROM customers WHERE name = ?;\n");
  writeFileSync(path.join(folder, "empty.sql"), "\n");
}, 60_000);

afterAll(() => {
  process.env["GATEHOUSE_STATE"] = stateBefore;
  if (stateBefore === undefined) delete process.env["GATEHOUSE_STATE"];
  rmSync(folder, { recursive: true, force: true });
});

describe("gatehouse explain-query", () => {
  it("prints the decision, the verdicts, the work, the form, the plan and the SQL for a member of the members table", () => {
    const sql = "SELECT abs(-9223372036854775807 - 1), subject FROM tickets";
    const text = run("--as", MEMBER, "--source", "shop", "--sample", sql);
    for (const part of [
      "The query would run. It was not run.",
      `${MEMBER}: roles support; attributes {"region":"south"}`,
      "support/allow/read/shop.tickets: rows region = 'south'",
      "authorizer (layer 3): passed",
      "program check (layer 4): passed",
      "of at most 1,000,000,000 (limits.maxQuerySteps)",
      "Form of the guard views:",
      "SQLite's plan, of the database:",
      'WITH "guard_nonce_0" AS (SELECT',
      sql,
      'parameters: ["south"]',
    ])
      expect(text).toContain(part);
  });

  it("prints JSON without the masking key for SQL of a file, and explains a role without a member", () => {
    const args = ["--file", "report.sql", "--params", '["Ann"]', "--json"];
    const printed = run("--role", "analyst", "--source", "shop", ...args);
    expect(JSON.parse(printed)).toMatchObject({
      source: "shop",
      user: null,
      roles: ["analyst"],
      refusal: null,
      decisions: [{ dataset: "shop.customers", denied: null }],
      form: { needsFence: false },
      work: { limit: 1_000_000_000 },
      guardSql: { parameters: ["address#key", "Ann"] },
    });
    expect(printed).toContain('"verdict": "passed"');
    expect(printed).not.toContain(readFileSync(path.join(stateDir, "token-key"), "utf8"));
  });

  it("assumes attributes for a role without a member", () => {
    const args = ["--role", "support", "--attribute", "region=west", "--source", "shop", "--json"];
    expect(JSON.parse(run(...args, "SELECT count(*) FROM tickets"))).toMatchObject({
      user: null,
      attributes: { region: "west" },
      refusal: null,
      guardSql: { parameters: ["west"] },
    });
  });

  it("explains a refusal with its layer and the message that the assistant gets", () => {
    const text = run("--as", MEMBER, "--source", "shop", "SELECT total_cents FROM orders");
    expect(text).toContain("The query is refused (authorizer (layer 3)). The assistant gets, with code query_failed:");
    expect(text).toContain("  There is no table orders here that you may read.");
    expect(text).toContain("shop.orders: not allowed, because no rule of the user's roles names it.");
    expect(text).toContain("program check (layer 4): not reached");
  });
});

describe("gatehouse explain-query refuses", () => {
  it.each([
    ["an unknown user", { email: "explaned@harbor.example" }, 1, `Did you mean ${MEMBER}?`],
    ["an address of invalid form", { email: "ann" }, 2, "is not an email address"],
    ["an unknown role", { roles: ["analist"] }, 1, "There is no role analist."],
    ["no user and no role", {}, 2, "Say whose query it is"],
    [
      "a malformed attribute",
      { email: MEMBER, attributes: ["region"] },
      2,
      "region is not an attribute. Write name=value",
    ],
    ["an unknown source", { email: MEMBER, source: "shp" }, 1, "no source shp. Did you mean shop? It has: shop, ops."],
    ["a source of documents", { email: MEMBER, source: "handbook" }, 1, "holds documents"],
    ["stored results", { email: MEMBER, source: "workspace" }, 1, "belong to a user's session"],
    ["empty SQL", { email: MEMBER, sql: " " }, 2, "The SQL is empty."],
    ["no SQL", { email: MEMBER, sql: undefined }, 2, "Give the SQL once"],
    ["SQL and a file", { email: MEMBER, file: "x.sql" }, 2, "Give the SQL once"],
    ["a file that is not there", { email: MEMBER, sql: undefined, file: "/nope.sql" }, 2, "/nope.sql cannot be read"],
    ["params that are no array", { email: MEMBER, params: "{}" }, 2, "--params is {}. It takes a JSON array"],
    ["params that are no JSON", { email: MEMBER, params: "[a" }, 2, "--params is [a. It takes a JSON array"],
  ])("%s", async (_name, change, exitCode, message) => {
    const question = { sql: "SELECT 1", source: "shop", email: undefined, roles: [], sample: true, ...change };
    const error: unknown = await explainQueryOf(question).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ message: expect.stringContaining(message) });
    expect(error instanceof CliError ? error.exitCode : 1).toBe(exitCode);
  });
});
