// The statement cache: which statements share a key, and which entries are evicted.
import { describe, expect, it } from "vitest";
import { frameQuery } from "../../src/sql/statement-guard.ts";
import type { GuardView, GuardedQuery } from "../../src/sql/statement-guard.ts";
import { createStatementCache, buildStatementKey } from "../../src/sql/statement-cache.ts";
import { copySchema } from "../../src/sql/schema-copy.ts";
import type { SchemaCopy } from "../../src/sql/schema-copy.ts";
import { parseStatement } from "../../src/sql/statement.ts";

const createCopy = (): SchemaCopy => copySchema({ objects: [], statistics: [], rowCounts: new Map() }, []);
const query = (before: string, sql: string): GuardedQuery => ({
  ...frameQuery(parseStatement(sql), [], { maxReadRows: 1 }),
  before,
});

describe("buildStatementKey", () => {
  it("ignores the nonce and nothing else", () => {
    const key = buildStatementKey(query("WITH guard_n1_0 AS (", "SELECT 1"), "n1");
    expect(buildStatementKey(query("WITH guard_n2_0 AS (", "SELECT 1"), "n2")).toBe(key);
    expect(buildStatementKey(query("WITH guard_n2_0 AS (", "SELECT 2"), "n2")).not.toBe(key);
    expect(buildStatementKey(query("WITH guard_n2_1 AS (", "SELECT 1"), "n2")).not.toBe(key);
  });

  it("differs for views with the same text and different masks or rules", () => {
    const view: Omit<GuardView, "buildSelect"> = {
      name: "people",
      readColumns: ["email"],
      clearColumns: ["email"],
      isDatabaseView: false,
      pinnedByRule: [],
      columns: [],
      isMasked: false,
      computedMasks: [],
      readsClear: true,
      isRowRestricted: false,
      ruleColumns: [],
      fallibleColumns: [],
      lookup: null,
      estimateShownShare: () => 1,
      narrow: () => ({ ...view, buildSelect: () => "" }),
    };
    const buildKey = (change: Partial<GuardView>) =>
      buildStatementKey({ ...query("", "SELECT 1"), usedViews: [{ ...view, buildSelect: () => "", ...change }] }, "n");
    const changes: Partial<GuardView>[] = [
      {},
      { isMasked: true },
      { clearColumns: [] },
      { pinnedByRule: [{ name: "email", isNumber: false }] },
      { readColumns: [] },
      { lookup: { table: "t", columns: new Set() } },
    ];
    expect(new Set(changes.map(buildKey)).size).toBe(changes.length);
  });

  it("differs for a text that imitates the SQL of the guard", () => {
    const guarded = buildStatementKey(query("WITH a AS (SELECT 1), b AS (", "SELECT 1"), "n");
    const written = buildStatementKey({ ...query("WITH a AS (", "SELECT 1"), body: "SELECT 1), b AS (SELECT 1" }, "n");
    expect(written).not.toBe(guarded);
  });
});

describe("createStatementCache", () => {
  it("returns a value for the copy that it was stored for, and not for another copy", () => {
    const cache = createStatementCache<string>();
    const [copy, otherCopy] = [createCopy(), createCopy()];
    cache.set(copy, "a", "value");
    expect(cache.get(copy, "a")).toBe("value");
    expect(cache.get(otherCopy, "a")).toBeUndefined();
  });

  it("evicts the least recently used entry, and counts an entry that was stored twice once", () => {
    const cache = createStatementCache<number>(() => 0, 3);
    const copy = createCopy();
    for (const key of ["a", "b", "b", "c"]) cache.set(copy, key, 1);
    cache.get(copy, "a");
    cache.set(copy, "d", 1);
    expect(["a", "b", "c", "d"].filter((key) => cache.get(copy, key) !== undefined)).toEqual(["a", "c", "d"]);
  });

  it("counts the characters of values", () => {
    const cache = createStatementCache<string>((value) => value.length, 10);
    const copy = createCopy();
    cache.set(copy, "a", "12345678");
    cache.set(copy, "b", "1");
    expect(cache.get(copy, "a")).toBeUndefined();
    expect(cache.get(copy, "b")).toBe("1");
    cache.set(copy, "b", "1234567890");
    expect(cache.get(copy, "b")).toBeUndefined();
    cache.set(copy, "c", "123456789");
    expect(cache.get(copy, "c")).toBe("123456789");
  });

  it("does not store an entry that is larger than the cache", () => {
    const cache = createStatementCache<number>(() => 0, 3);
    const copy = createCopy();
    cache.set(copy, "a", 1);
    cache.set(copy, "long key", 1);
    expect(cache.get(copy, "a")).toBe(1);
    expect(cache.get(copy, "long key")).toBeUndefined();
  });
});
