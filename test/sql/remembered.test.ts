// What is remembered of statements by itself: what makes two of them the same, and what is forgotten when.
import { describe, expect, it } from "vitest";
import { frameQuery } from "../../src/sql/guard.ts";
import type { GuardView, GuardedQuery } from "../../src/sql/guard.ts";
import { createMemory, keyOf } from "../../src/sql/remembered.ts";
import { copySchema } from "../../src/sql/schema.ts";
import type { SchemaCopy } from "../../src/sql/schema.ts";
import { parseStatement } from "../../src/sql/statement.ts";

const copyOf = (): SchemaCopy => copySchema({ objects: [], statistics: [], rows: new Map() }, []);
const query = (before: string, sql: string): GuardedQuery => ({
  ...frameQuery(parseStatement(sql), [], { maxRows: 1 }),
  before,
});

describe("the key of a statement", () => {
  it("leaves the nonce out, and nothing else", () => {
    const one = keyOf(query("WITH guard_n1_0 AS (", "SELECT 1"), "n1");
    expect(keyOf(query("WITH guard_n2_0 AS (", "SELECT 1"), "n2")).toBe(one);
    expect(keyOf(query("WITH guard_n2_0 AS (", "SELECT 2"), "n2")).not.toBe(one);
    expect(keyOf(query("WITH guard_n2_1 AS (", "SELECT 1"), "n2")).not.toBe(one);
  });

  it("tells apart who sees the same text with other masks", () => {
    const view = {
      name: "people",
      reads: ["email"],
      clear: ["email"],
      settled: [],
      columns: [],
      isMasked: false,
      isRowRestricted: false,
      ruled: [],
      fragile: [],
      lookup: null,
    };
    const seen = (change: Partial<GuardView>) =>
      keyOf({ ...query("", "SELECT 1"), used: [{ ...view, select: () => "", ...change }] }, "n");
    const changes: Partial<GuardView>[] = [
      {},
      { isMasked: true },
      { clear: [] },
      { settled: [{ name: "email", isNumber: false }] },
      { reads: [] },
      { lookup: { table: "t", columns: new Set() } },
    ];
    expect(new Set(changes.map(seen)).size).toBe(changes.length);
  });

  it("a text that goes on as the guard would is another statement than the guard's own", () => {
    const guarded = keyOf(query("WITH a AS (SELECT 1), b AS (", "SELECT 1"), "n");
    const written = keyOf({ ...query("WITH a AS (", "SELECT 1"), body: "SELECT 1), b AS (SELECT 1" }, "n");
    expect(written).not.toBe(guarded);
  });
});

describe("a memory", () => {
  it("knows what was found of a statement over one copy, and nothing over another", () => {
    const memory = createMemory<string>();
    const [copy, other] = [copyOf(), copyOf()];
    memory.set(copy, "a", "found");
    expect(memory.get(copy, "a")).toBe("found");
    expect(memory.get(other, "a")).toBeUndefined();
  });

  it("forgets what was not used for longest, and counts what is kept twice once", () => {
    const memory = createMemory<number>(() => 0, 3);
    const copy = copyOf();
    for (const key of ["a", "b", "b", "c"]) memory.set(copy, key, 1);
    memory.get(copy, "a");
    memory.set(copy, "d", 1);
    expect(["a", "b", "c", "d"].filter((key) => memory.get(copy, key) !== undefined)).toEqual(["a", "c", "d"]);
  });

  it("counts what was found", () => {
    const memory = createMemory<string>((found) => found.length, 10);
    const copy = copyOf();
    memory.set(copy, "a", "12345678");
    memory.set(copy, "b", "1");
    expect(memory.get(copy, "a")).toBeUndefined();
    expect(memory.get(copy, "b")).toBe("1");
    memory.set(copy, "b", "1234567890");
    expect(memory.get(copy, "b")).toBeUndefined();
    memory.set(copy, "c", "123456789");
    expect(memory.get(copy, "c")).toBe("123456789");
  });

  it("keeps nothing that is larger than it", () => {
    const memory = createMemory<number>(() => 0, 3);
    const copy = copyOf();
    memory.set(copy, "a", 1);
    memory.set(copy, "long key", 1);
    expect(memory.get(copy, "a")).toBe(1);
    expect(memory.get(copy, "long key")).toBeUndefined();
  });
});
