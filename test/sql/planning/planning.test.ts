// No statement, however short, keeps the isolate busy with planning; statements that are only long still run.
import { beforeAll, describe, expect, it } from "vitest";
import { PLANNING_UNITS } from "../../../src/sql/engine/meter.ts";
import { copySchema } from "../../../src/sql/schema-copy.ts";
import type { SchemaCopy } from "../../../src/sql/schema-copy.ts";
import { MAX_SQL_BYTES } from "../../../src/sql/statement.ts";
import { byteLength } from "../../../src/lib/bytes.ts";
import { plant } from "../attacks/fixture.ts";
import { ACCOUNTS, governed, run } from "../attacks/stack.ts";
import { LONG, SHAPES } from "./statements.ts";

const REFUSED = /^query_(?:refused: The SQL is too complex to plan|failed: The SQL is too large or too deeply nested)/;

beforeAll(plant);

describe.each(ACCOUNTS)("planning as %s", (account) => {
  it.each(SHAPES)("refuses a statement that $name too often", async ({ sql, excessive, isQuickFenced }) => {
    expect(byteLength(sql(excessive))).toBeLessThanOrEqual(MAX_SQL_BYTES);
    const isAnswered = isQuickFenced === true && account === "north";
    expect(await run(governed(), account, sql(excessive))).toMatch(isAnswered ? /^\{/ : REFUSED);
  });
});

it.each(SHAPES.filter(({ modest }) => modest > 0))(
  "runs a statement that $name a few times",
  async ({ sql, modest }) => {
    expect(await run(governed(), "north", sql(modest))).toMatch(/^\{/);
  },
);

it.each(Object.entries(LONG))("runs %s", async (_case, sql) => {
  expect(byteLength(sql)).toBeLessThanOrEqual(MAX_SQL_BYTES);
  expect(await run(governed(), "mask", sql)).toMatch(/^\{/);
});

it("still answers other statements after it refused many", async () => {
  const stack = governed();
  for (const { sql, excessive } of SHAPES) {
    await run(stack, "mask", sql(excessive));
    expect(await run(stack, "mask", "SELECT id FROM people WHERE id = 1")).toBe('{"columns":["id"],"rows":[[1]]}');
  }
});

describe("the planning allowance", () => {
  const copy = (): SchemaCopy => copySchema({ objects: [], statistics: [], rowCounts: new Map() }, []);
  const doubling = (depth: number): string =>
    Array.from({ length: depth }).reduce<string>((inner) => `SELECT x + x AS x FROM (${inner})`, "SELECT 1 AS x");

  it("counts the same units in every engine", () => {
    const units = [copy(), copy()].map(({ engine }) => {
      engine.compile(doubling(8), () => 0);
      return engine.spentUnits();
    });
    expect(units[0]).toBe(units[1]);
    expect(units[0]).toBeGreaterThan(100_000);
  });

  it("stops a statement soon after it is spent", () => {
    const { engine } = copy();
    expect(() => engine.compile(doubling(24), () => 0)).toThrow("planning allowance");
    expect(engine.spentUnits()).toBeLessThan(PLANNING_UNITS.statement * 1.1);
    expect(() => engine.plan(doubling(24))).toThrow("planning allowance");
    expect(engine.plan("SELECT 1")).toHaveLength(1);
  });

  it("is shared by all statements of one piece of work", () => {
    const { engine } = copy();
    const half = doubling(12);
    engine.plan(half);
    const times = Math.floor(PLANNING_UNITS.work / engine.spentUnits());
    const planTimes = (count: number): void => {
      for (let time = 0; time < count; time += 1) engine.plan(half);
    };
    expect(() => engine.withSharedAllowance(() => planTimes(times))).not.toThrow();
    expect(() => engine.withSharedAllowance(() => planTimes(times + 1))).toThrow("planning allowance");
    expect(() => planTimes(times + 1)).not.toThrow();
  });
});
