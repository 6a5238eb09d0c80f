// Whether a grant of today covers an earlier one. Every yes is held against SQLite: no row may be in the earlier grant and
// not in today's.
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { covers } from "../../src/policy/coverage.ts";
import type { BoundCondition, Disclosure, Grant, TableDataset } from "../../src/policy/model.ts";
import { guardViewSql } from "../../src/policy/views.ts";
import { createParameters } from "../../src/sql/parameters.ts";
import { createRandom } from "../sql/fuzz/generator.ts";

const column = (name: string) =>
  ({ name, type: "text", description: name, untrusted: false, hidden: false, references: null, examples: [] }) as const;
const dataset: TableDataset = {
  kind: "table",
  id: "shop.grid",
  source: "shop",
  table: "grid",
  description: "Grid",
  key: null,
  hidden: false,
  columns: [column("a"), column("b")],
};
const CLEAR: Disclosure = { kind: "clear" };

const grant = (rows: BoundCondition | null, a: Disclosure = CLEAR): Grant => ({
  rule: "r",
  rows,
  columns: { a, b: CLEAR },
  reveal: [],
});
const today = (...grants: readonly Grant[]) => ({ allowed: true, dataset, grants, rules: [] }) as const;
const is = (name: string, value: string): BoundCondition => ({ column: name, op: "=", value });
const among = (name: string, ...value: readonly string[]): BoundCondition => ({ column: name, op: "in", value });

describe("rows", () => {
  const [a1, a2, b1] = [is("a", "1"), is("a", "2"), is("b", "1")];
  it.each<[string, BoundCondition | null, BoundCondition | null, boolean]>([
    ["all cover all", null, null, true],
    ["all cover some", null, a1, true],
    ["some do not cover all", a1, null, false],
    ["the same", a1, a1, true],
    ["another value", a1, a2, false],
    ["another column", a1, b1, false],
    ["a longer list", among("a", "1", "2"), a1, true],
    ["a shorter list", among("a", "1"), among("a", "1", "2"), false],
    ["one more way", { any: [a1, b1] }, a1, true],
    ["one way less", a1, { any: [a1, b1] }, false],
    ["one condition less", a1, { all: [a1, b1] }, true],
    ["one condition more", { all: [a1, b1] }, a1, false],
    ["in another order", { all: [a1, b1] }, { all: [b1, a1] }, true],
    ["what it cannot compare", { column: "a", op: "!=", value: "2" }, a1, false],
  ])("%s", (_name, now, then, expected) => {
    expect(covers(today(grant(now)), [grant(then)])).toBe(expected);
  });

  it("each earlier grant by one of today's", () => {
    expect(covers(today(grant(a1), grant(b1)), [grant(b1), grant(a1)])).toBe(true);
    expect(covers(today(grant(a1)), [grant(b1), grant(a1)])).toBe(false);
  });
});

describe("columns", () => {
  const [email, last]: Disclosure[] = [{ kind: "email" }, { kind: "last", count: 2 }];
  it.each<[string, Disclosure | undefined, Disclosure | undefined, boolean]>([
    ["as much", email, email, true],
    ["more", CLEAR, email, true],
    ["less", last, email, false],
    ["nothing", { kind: "hidden" }, email, false],
    ["nothing, as then", { kind: "hidden" }, { kind: "hidden" }, true],
  ])("%s", (_name, now, then, expected) => {
    expect(covers(today(grant(null, now)), [grant(null, then)])).toBe(expected);
  });

  it("that is not declared any more covers nothing", () => {
    expect(covers(today({ rule: "r", rows: null, columns: { b: CLEAR }, reveal: [] }), [grant(null)])).toBe(false);
    expect(
      covers(today({ rule: "r", rows: null, columns: {}, reveal: [] }), [
        { rule: "r", rows: null, columns: { toString: CLEAR }, reveal: [] },
      ]),
    ).toBe(false);
  });

  it("rows of one grant do not cover with the columns of another", () => {
    const now = today(grant(is("a", "1"), CLEAR), grant(null, email));
    expect(covers(now, [grant(null, CLEAR)])).toBe(false);
  });
});

describe("every yes", () => {
  it("is true of real rows", async () => {
    const values = ["1", "2", "3"] as const;
    const insert = "INSERT INTO grid SELECT a.value, b.value FROM json_each(?1) a, json_each(?1) b";
    await env.SHOP_DB.batch([
      env.SHOP_DB.prepare("CREATE TABLE grid (a TEXT, b TEXT)"),
      env.SHOP_DB.prepare(insert).bind(JSON.stringify([...values, null])),
    ]);
    const random = createRandom(7);
    const below = (bound: number): number => Math.floor(random() * bound);
    const pick = <T>(choices: readonly [T, ...T[]]): T => choices[below(choices.length)] ?? choices[0];
    const condition = (depth: number): BoundCondition => {
      const name = pick(["a", "b"]);
      const parts = () => Array.from({ length: 1 + below(3) }, () => condition(depth - 1));
      switch (below(depth === 0 ? 4 : 6)) {
        case 0:
          return is(name, pick(values));
        case 1:
          return among(name, ...values.filter(() => below(2) === 0));
        case 2:
          return { column: name, op: pick(["is null", "is not null"]) };
        case 3:
          return { column: name, op: pick(["!=", "<", ">="]), value: pick(values) };
        case 4:
          return { all: parts() };
        default:
          return { any: parts() };
      }
    };
    const rowsOf = async (one: BoundCondition): Promise<readonly string[]> => {
      const parameters = createParameters();
      const sql = guardViewSql(today(grant(one)), dataset, { parameters, tokenDomain: String }, "free");
      const { results } = await env.SHOP_DB.prepare(sql)
        .bind(...parameters.values)
        .all();
      return results.map((row) => JSON.stringify(row));
    };
    let yes = 0;
    for (let round = 0; round < 1500; round += 1) {
      const [now, then] = [condition(2), condition(2)];
      if (!covers(today(grant(now)), [grant(then)])) continue;
      yes += 1;
      const seen = new Set(await rowsOf(now));
      expect(
        (await rowsOf(then)).filter((row) => !seen.has(row)),
        JSON.stringify([now, then]),
      ).toEqual([]);
    }
    expect(yes).toBeGreaterThan(100);
  });
});
