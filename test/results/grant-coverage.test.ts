// Whether today's grants cover past ones. Random tests compare every yes with SQLite: each past row must be visible today, and what
// was shown then must be computable from what is shown today.
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { covers, resolvesMaskingTokens } from "../../src/results/grant-coverage.ts";
import type { BoundCondition, Disclosure, Grant, TableDataset } from "../../src/policy/model.ts";
import { buildGuardViewSql } from "../../src/policy/guard-view.ts";
import { createParameters } from "../../src/sql/parameters.ts";
import { createRandom } from "../sql/fuzz/generator.ts";
import { PLAIN_VIEW } from "../support/plain-view.ts";

const column = (name: string) =>
  ({ name, type: "text", description: name, untrusted: false, hidden: false, references: null, examples: [] }) as const;
const dataset: TableDataset = {
  kind: "table",
  id: "shop.grid",
  source: "shop",
  table: "grid",
  description: "Grid",
  isView: false,
  recordKeys: false,
  key: [],
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

describe("covers, by rows", () => {
  const [a1, a2, b1] = [is("a", "1"), is("a", "2"), is("b", "1")];
  it.each<[string, BoundCondition | null, BoundCondition | null, boolean]>([
    ["is true for all rows, from all rows", null, null, true],
    ["is true for some rows, from all rows", null, a1, true],
    ["is false for all rows, from some rows", a1, null, false],
    ["is true for the same value", a1, a1, true],
    ["is false for another value", a1, a2, false],
    ["is false for another column", a1, b1, false],
    ["is true for a value, from a list that includes it", among("a", "1", "2"), a1, true],
    ["is false for a list, from a shorter one", among("a", "1"), among("a", "1", "2"), false],
    ["is true for one condition, from a choice that includes it", { any: [a1, b1] }, a1, true],
    ["is false for a choice, from one of its conditions", a1, { any: [a1, b1] }, false],
    ["is true for two conditions, from one of them", a1, { all: [a1, b1] }, true],
    ["is false for one condition, from two", { all: [a1, b1] }, a1, false],
    ["is true for the same conditions in another order", { all: [a1, b1] }, { all: [b1, a1] }, true],
    ["is false for an operator that it cannot compare", { column: "a", op: "!=", value: "2" }, a1, false],
  ])("%s", (_name, now, then, expected) => {
    expect(covers(today(grant(now)), [grant(then)])).toBe(expected);
  });

  it("requires one of today's grants for each past grant", () => {
    expect(covers(today(grant(a1), grant(b1)), [grant(b1), grant(a1)])).toBe(true);
    expect(covers(today(grant(a1)), [grant(b1), grant(a1)])).toBe(false);
  });
});

describe("covers, by columns", () => {
  const [email, last]: Disclosure[] = [{ kind: "email" }, { kind: "last", count: 2 }];
  it.each<[string, Disclosure | undefined, Disclosure | undefined, boolean]>([
    ["is true for the same mask", email, email, true],
    ["is true for a mask, from the clear value", CLEAR, email, true],
    ["is false for a mask, from another one", last, email, false],
    ["is false for a mask, from a hidden column", { kind: "hidden" }, email, false],
    ["is true for a hidden column, from a hidden column", { kind: "hidden" }, { kind: "hidden" }, true],
  ])("%s", (_name, now, then, expected) => {
    expect(covers(today(grant(null, now)), [grant(null, then)])).toBe(expected);
  });

  it("is false when a column is no longer declared", () => {
    expect(covers(today({ rule: "r", rows: null, columns: { b: CLEAR }, reveal: [] }), [grant(null)])).toBe(false);
    expect(
      covers(today({ rule: "r", rows: null, columns: {}, reveal: [] }), [
        { rule: "r", rows: null, columns: { toString: CLEAR }, reveal: [] },
      ]),
    ).toBe(false);
  });

  it("does not combine the rows of one grant with the columns of another", () => {
    const now = today(grant(is("a", "1"), CLEAR), grant(null, email));
    expect(covers(now, [grant(null, CLEAR)])).toBe(false);
  });
});

describe("covers, by masks of several grants", () => {
  const bucket: Disclosure = { kind: "bucket", size: 10 };
  const round: Disclosure = { kind: "round", step: 5000 };

  it("is false for a range that another grant rounds today", () => {
    expect(covers(today(grant(null, bucket)), [grant(null, bucket)])).toBe(true);
    expect(covers(today(grant(null, bucket), grant(null, round)), [grant(null, bucket)])).toBe(false);
    expect(covers(today(grant(null, bucket), grant(null, CLEAR)), [grant(null, bucket)])).toBe(true);
  });
});

describe("covers, by which rows were shown", () => {
  const HIDDEN: Disclosure = { kind: "hidden" };
  const EMAIL: Disclosure = { kind: "email" };
  const [a1, a2] = [is("a", "1"), is("a", "2")];

  it.each<[string, readonly Grant[], readonly Grant[], boolean]>([
    ["is true when today shows all rows and the rule's column", [grant(null)], [grant(a1, HIDDEN)], true],
    [
      "is false when today shows all rows and hides the rule's column",
      [grant(null, HIDDEN)],
      [grant(a1, HIDDEN)],
      false,
    ],
    [
      "is false when today shows all rows and masks the rule's column",
      [grant(null, EMAIL)],
      [grant(a1, HIDDEN)],
      false,
    ],
    ["is true when today shows the same rows", [grant(a1, HIDDEN)], [grant(a1, HIDDEN)], true],
    ["is false when today also shows other rows", [grant(a1, HIDDEN), grant(a2, HIDDEN)], [grant(a1, HIDDEN)], false],
    [
      "is true when today shows the same rows by the same two grants",
      [grant(a1, HIDDEN), grant(a2)],
      [grant(a2), grant(a1, HIDDEN)],
      true,
    ],
    [
      "is false when past masks differed by row and today's do not",
      [grant(null, HIDDEN)],
      [grant(a1, HIDDEN), { ...grant(null, HIDDEN), columns: { a: HIDDEN, b: EMAIL } }],
      false,
    ],
  ])("%s", (_name, now, then, expected) => {
    expect(covers(today(...now), then)).toBe(expected);
  });
});

describe("resolvesMaskingTokens", () => {
  const TOKEN: Disclosure = { kind: "token", domain: "email" };
  const domains = new Set(["email"]);

  it.each<[string, readonly Grant[], ReadonlySet<string>, boolean]>([
    ["is true when today shows the value, and masking tokens of its domain elsewhere", [grant(null)], domains, true],
    ["is true when today shows the value on some rows", [grant(null, TOKEN), grant(is("b", "1"))], domains, true],
    [
      "is false when today shows the value, and no masking tokens of its domain elsewhere",
      [grant(null)],
      new Set(["card"]),
      false,
    ],
    ["is false when today shows masking tokens", [grant(null, TOKEN)], domains, false],
  ])("%s", (_name, now, shownDomains, expected) => {
    expect(covers(today(...now), [grant(null, TOKEN)])).toBe(true);
    expect(resolvesMaskingTokens(today(...now), [grant(null, TOKEN)], shownDomains)).toBe(expected);
  });

  it("is false while the grants that showed masking tokens and values in different rows are unchanged", () => {
    const both = [grant(null, TOKEN), grant(is("b", "1"))];
    expect(covers(today(...both), both)).toBe(true);
    expect(resolvesMaskingTokens(today(...both), both, domains)).toBe(false);
  });
});

describe("covers with random grants", () => {
  it("is true only if every past row is visible today", async () => {
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
    const listRows = async (rows: BoundCondition): Promise<readonly string[]> => {
      const parameters = createParameters();
      const sql = buildGuardViewSql(today(grant(rows)), dataset, { parameters, qualifyDomain: String }, PLAIN_VIEW);
      const { results } = await env.SHOP_DB.prepare(sql)
        .bind(...parameters.values)
        .all();
      return results.map((row) => JSON.stringify(row));
    };
    let coveredCount = 0;
    for (let round = 0; round < 1500; round += 1) {
      const [now, then] = [condition(2), condition(2)];
      if (!covers(today(grant(now)), [grant(then)])) continue;
      coveredCount += 1;
      const visibleRows = new Set(await listRows(now));
      expect(
        (await listRows(then)).filter((row) => !visibleRows.has(row)),
        JSON.stringify([now, then]),
      ).toEqual([]);
    }
    expect(coveredCount).toBeGreaterThan(100);
  });

  it("is true only if past values can be computed from today's", async () => {
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
    const randomRows = (): BoundCondition | null =>
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
    const randomDisclosureOfA = (): Disclosure =>
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
    const randomDisclosureOfB = (): Disclosure =>
      pick<Disclosure>([CLEAR, { kind: "hidden" }, { kind: "redact" }, { kind: "email" }, { kind: "last", count: 2 }]);
    const randomGrant = (): Grant => ({
      rule: "r",
      rows: randomRows(),
      columns: { id: CLEAR, a: randomDisclosureOfA(), b: randomDisclosureOfB() },
      reveal: [],
    });
    const changeGrant = (pastGrant: Grant): Grant => {
      const { a = CLEAR, b = CLEAR } = pastGrant.columns;
      const columns = {
        id: CLEAR,
        a: below(2) === 0 ? randomDisclosureOfA() : a,
        b: below(2) === 0 ? randomDisclosureOfB() : b,
      };
      return { ...pastGrant, rows: below(3) === 0 ? randomRows() : pastGrant.rows, columns };
    };
    const decision = (grants: readonly Grant[]) => ({ allowed: true, dataset: forms, grants, rules: [] }) as const;
    /** Reads what each row shows, except its id, by id. */
    const readShownRows = async (grants: readonly Grant[]): Promise<ReadonlyMap<unknown, string>> => {
      const parameters = createParameters();
      const sql = buildGuardViewSql(decision(grants), forms, { parameters, qualifyDomain: String }, PLAIN_VIEW);
      const { results } = await env.SHOP_DB.prepare(sql)
        .bind(...parameters.values)
        .all();
      return new Map(results.map(({ id, ...shown }) => [id, JSON.stringify(shown)]));
    };
    const ids = Array.from({ length: 28 }, (_value, index) => index + 1);
    let coveredCount = 0;
    for (let round = 0; round < 2500; round += 1) {
      const then = Array.from({ length: 1 + below(2) }, randomGrant);
      const now = [...then.map(changeGrant), ...(below(3) === 0 ? [randomGrant()] : [])];
      if (!covers(decision(now), then) || JSON.stringify(now) === JSON.stringify(then)) continue;
      coveredCount += 1;
      const [seenNow, seenThen] = [await readShownRows(now), await readShownRows(then)];
      const computed = new Map<string | undefined, string | undefined>();
      for (const id of ids) {
        const [shownNow, shownThen] = [seenNow.get(id), seenThen.get(id)];
        if (!computed.has(shownNow)) computed.set(shownNow, shownThen);
        expect(computed.get(shownNow), JSON.stringify([id, now, then])).toBe(shownThen);
      }
      expect(computed.get(undefined)).toBeUndefined();
    }
    expect(coveredCount).toBeGreaterThan(200);
  }, 30_000);
});
