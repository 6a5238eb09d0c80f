// Whether a grant of today covers an earlier one. Every yes is held against SQLite: no row may be in the earlier grant and
// not in today's, and what was shown then can be computed from what is shown today.
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { covers, resolvesTokens } from "../../src/policy/coverage.ts";
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

describe("forms of several grants", () => {
  const bucket: Disclosure = { kind: "bucket", size: 10 };
  const round: Disclosure = { kind: "round", step: 5000 };

  it("does not cover a range that today's rows do not show, as another grant rounds there", () => {
    expect(covers(today(grant(null, bucket)), [grant(null, bucket)])).toBe(true);
    expect(covers(today(grant(null, bucket), grant(null, round)), [grant(null, bucket)])).toBe(false);
    expect(covers(today(grant(null, bucket), grant(null, CLEAR)), [grant(null, bucket)])).toBe(true);
  });
});

describe("which rows were shown", () => {
  const HIDDEN: Disclosure = { kind: "hidden" };
  const EMAIL: Disclosure = { kind: "email" };
  const [a1, a2] = [is("a", "1"), is("a", "2")];

  it.each<[string, readonly Grant[], readonly Grant[], boolean]>([
    ["all rows, and the rule's column", [grant(null)], [grant(a1, HIDDEN)], true],
    ["all rows without the rule's column", [grant(null, HIDDEN)], [grant(a1, HIDDEN)], false],
    ["all rows with the rule's column masked", [grant(null, EMAIL)], [grant(a1, HIDDEN)], false],
    ["the same rows", [grant(a1, HIDDEN)], [grant(a1, HIDDEN)], true],
    ["the same rows and others", [grant(a1, HIDDEN), grant(a2, HIDDEN)], [grant(a1, HIDDEN)], false],
    ["the same rows by two grants", [grant(a1, HIDDEN), grant(a2)], [grant(a2), grant(a1, HIDDEN)], true],
    [
      "all rows, where forms told them apart",
      [grant(null, HIDDEN)],
      [grant(a1, HIDDEN), { ...grant(null, HIDDEN), columns: { a: HIDDEN, b: EMAIL } }],
      false,
    ],
  ])("%s today", (_name, now, then, expected) => {
    expect(covers(today(...now), then)).toBe(expected);
  });
});

describe("masking tokens", () => {
  const TOKEN: Disclosure = { kind: "token", domain: "email" };
  const domains = new Set(["email"]);

  it.each<[string, readonly Grant[], ReadonlySet<string>, boolean]>([
    ["beside the value, while others of the domain are shown", [grant(null)], domains, true],
    ["beside the value on some rows", [grant(null, TOKEN), grant(is("b", "1"))], domains, true],
    ["beside the value, with no others to be seen", [grant(null)], new Set(["card"]), false],
    ["as they are shown today", [grant(null, TOKEN)], domains, false],
  ])("%s", (_name, now, shown, expected) => {
    expect(covers(today(...now), [grant(null, TOKEN)])).toBe(true);
    expect(resolvesTokens(today(...now), [grant(null, TOKEN)], shown)).toBe(expected);
  });

  it("may stand beside values of other rows while the grants are those that showed both", () => {
    const both = [grant(null, TOKEN), grant(is("b", "1"))];
    expect(covers(today(...both), both)).toBe(true);
    expect(resolvesTokens(today(...both), both, domains)).toBe(false);
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

  it("lets what was shown then be computed from what is shown today", async () => {
    const numbers = [0, 5, 10, 15, 20, 25];
    const texts = ["a@x.example", "ab@x.example", "b@y.example"];
    await env.SHOP_DB.batch([
      env.SHOP_DB.prepare("CREATE TABLE forms (id INTEGER PRIMARY KEY, a INTEGER, b TEXT)"),
      env.SHOP_DB.prepare(
        "INSERT INTO forms (a, b) SELECT a.value, b.value FROM json_each(?1) a, json_each(?2) b",
      ).bind(JSON.stringify([...numbers, null]), JSON.stringify([...texts, null])),
    ]);
    const forms: TableDataset = { ...dataset, table: "forms", columns: [column("id"), column("a"), column("b")] };
    const random = createRandom(11);
    const below = (bound: number): number => Math.floor(random() * bound);
    const pick = <T>(choices: readonly [T, ...T[]]): T => choices[below(choices.length)] ?? choices[0];
    const rows = (): BoundCondition | null =>
      pick<BoundCondition | null>([
        null,
        { column: "a", op: "=", value: 10 },
        { column: "a", op: "in", value: [10, 20] },
        { column: "a", op: "is null" },
        { column: "b", op: "in", value: ["a@x.example", "ab@x.example"] },
        {
          any: [
            { column: "a", op: "=", value: 10 },
            { column: "b", op: "is null" },
          ],
        },
        {
          all: [
            { column: "a", op: "=", value: 10 },
            { column: "b", op: "is not null" },
          ],
        },
      ]);
    const formOfA = (): Disclosure =>
      pick<Disclosure>([
        CLEAR,
        CLEAR,
        { kind: "hidden" },
        { kind: "null" },
        { kind: "bucket", size: 10 },
        { kind: "bucket", size: 20 },
        { kind: "round", step: 10 },
        { kind: "round", step: 30 },
      ]);
    const formOfB = (): Disclosure =>
      pick<Disclosure>([CLEAR, { kind: "hidden" }, { kind: "redact" }, { kind: "email" }, { kind: "last", count: 2 }]);
    const formsGrant = (): Grant => ({
      rule: "r",
      rows: rows(),
      columns: { id: CLEAR, a: formOfA(), b: formOfB() },
      reveal: [],
    });
    const changed = (one: Grant): Grant => {
      const { a = CLEAR, b = CLEAR } = one.columns;
      const columns = { id: CLEAR, a: below(2) === 0 ? formOfA() : a, b: below(2) === 0 ? formOfB() : b };
      return { ...one, rows: below(3) === 0 ? rows() : one.rows, columns };
    };
    const decision = (grants: readonly Grant[]) => ({ allowed: true, dataset: forms, grants, rules: [] }) as const;
    /** What each row shows, by its id, which is no part of that. */
    const see = async (grants: readonly Grant[]): Promise<ReadonlyMap<unknown, string>> => {
      const parameters = createParameters();
      const sql = guardViewSql(decision(grants), forms, { parameters, tokenDomain: String }, "free");
      const { results } = await env.SHOP_DB.prepare(sql)
        .bind(...parameters.values)
        .all();
      return new Map(results.map(({ id, ...shown }) => [id, JSON.stringify(shown)]));
    };
    const ids = Array.from({ length: 28 }, (_value, index) => index + 1);
    let yes = 0;
    for (let round = 0; round < 2500; round += 1) {
      const then = Array.from({ length: 1 + below(2) }, formsGrant);
      const now = [...then.map(changed), ...(below(3) === 0 ? [formsGrant()] : [])];
      if (!covers(decision(now), then) || JSON.stringify(now) === JSON.stringify(then)) continue;
      yes += 1;
      const [seenNow, seenThen] = [await see(now), await see(then)];
      const computed = new Map<string | undefined, string | undefined>();
      for (const id of ids) {
        const [shownNow, shownThen] = [seenNow.get(id), seenThen.get(id)];
        if (!computed.has(shownNow)) computed.set(shownNow, shownThen);
        expect(computed.get(shownNow), JSON.stringify([id, now, then])).toBe(shownThen);
      }
      expect(computed.get(undefined)).toBeUndefined();
    }
    expect(yes).toBeGreaterThan(200);
  }, 30_000);
});
