// The engines of an isolate: one budget of memory, and none that goes on after it ran out.
import { describe, expect, it } from "vitest";
import { AppError } from "../../src/errors.ts";
import { keepCopy } from "../../src/sql/copies.ts";
import { EngineExhausted } from "../../src/sql/engine/meter.ts";
import { createEnginePool } from "../../src/sql/engine/pool.ts";
import { openEngine } from "../../src/sql/engine/sqlite.ts";
import type { Engine } from "../../src/sql/engine/sqlite.ts";
import type { SchemaSnapshot } from "../../src/sql/schema.ts";
import { createScratch } from "../../src/sql/scratch.ts";

const MIB = 1024 * 1024;
const SNAPSHOT: SchemaSnapshot = {
  objects: [{ type: "table", name: "t", table: "t", rootPage: 2, sql: "CREATE TABLE t (a INTEGER PRIMARY KEY, b)" }],
  statistics: [],
  rows: new Map(),
};
const keep = (pool = createEnginePool()) => keepCopy(pool, SNAPSHOT, ["t"]);
/** Stores megabytes, for which the engine has to grow. */
const grow = (engine: Engine, times = 12): void => {
  engine.execute("CREATE TABLE big (x)");
  for (let time = 0; time < times; time += 1) engine.execute("INSERT INTO big VALUES (zeroblob(1000000))");
};

describe("an engine", () => {
  it("says that it ran out of memory when it may not grow, and goes on saying so", () => {
    const engine = openEngine(() => false);
    expect(() => grow(engine)).toThrow(EngineExhausted);
    expect(() => engine.plan("SELECT 1")).toThrow("memory");
    expect(() => engine.compile("SELECT 1", () => 0)).toThrow("memory");
  });

  it("asks before it grows", () => {
    let bytes = 0;
    const engine = openEngine((more) => {
      bytes += more;
      return true;
    });
    const before = engine.memoryBytes();
    grow(engine);
    expect(engine.memoryBytes()).toBe(before + bytes);
    expect(bytes).toBeGreaterThan(4 * MIB);
  });
});

describe("a pool of engines", () => {
  it("never holds more memory than its budget", () => {
    const pool = createEnginePool(24 * MIB);
    const evicted: number[] = [];
    for (let index = 0; index < 5; index += 1) {
      pool.open(() => evicted.push(index));
      expect(pool.totalBytes()).toBeLessThanOrEqual(24 * MIB);
    }
    expect(evicted).toEqual([0, 1]);
  });

  it("gives up the engine that was used least recently, also for one that grows", () => {
    const pool = createEnginePool(24 * MIB);
    const evicted: string[] = [];
    const [first, second, third] = ["first", "second", "third"].map((name) => pool.open(() => evicted.push(name)));
    if (first === undefined || second === undefined || third === undefined) throw new Error("no engines");
    pool.use(first, () => first.plan("SELECT 1"));
    pool.use(third, () => grow(third, 8));
    expect(evicted[0]).toBe("second");
    expect(pool.totalBytes()).toBeLessThanOrEqual(24 * MIB);
  });

  it("gives up no engine that is at work", () => {
    const pool = createEnginePool(16 * MIB);
    const engine = pool.open(() => {
      throw new Error("evicted at work");
    });
    pool.use(engine, () => {
      const other = pool.open(() => {});
      expect(() => pool.use(other, () => pool.open(() => {}))).toThrow(EngineExhausted);
    });
  });
});

describe("a kept copy", () => {
  const columnsOf = (copies: ReturnType<typeof keep>): unknown =>
    copies.use((copy) => copy.engine.plan("SELECT b FROM t"));

  it("is made again after its engine was given up for others", () => {
    const pool = createEnginePool(16 * MIB);
    const copies = [keep(pool), keep(pool), keep(pool)];
    for (let round = 0; round < 3; round += 1)
      for (const copy of copies) expect(columnsOf(copy)).toMatchObject([{ detail: "SCAN t" }]);
    expect(pool.totalBytes()).toBeLessThanOrEqual(16 * MIB);
  });

  it("leaves an engine that ran out of memory, and one that has grown", () => {
    const pool = createEnginePool(24 * MIB);
    const copy = keep(pool);
    const engines = new Set<Engine>();
    const use = (work: (engine: Engine) => void): void =>
      copy.use(({ engine }) => {
        engines.add(engine);
        work(engine);
      });
    expect(() => use((engine) => grow(engine, 30))).toThrow(AppError);
    expect(pool.totalBytes()).toBe(0);
    use((engine) => grow(engine, 1));
    expect(engines.size).toBe(2);
    use(() => {});
    expect(engines.size).toBe(2);
    use((engine) => engine.execute("DROP TABLE big"));
    use((engine) => grow(engine, 17));
    use(() => {});
    expect(engines.size).toBe(3);
  });

  it("leaves an engine that trapped, and tells the person what to do", () => {
    const copy = keep();
    let first: Engine | undefined;
    expect(() =>
      copy.use(({ engine }) => {
        first = engine;
        throw new WebAssembly.RuntimeError("unreachable");
      }),
    ).toThrow("too large or too deeply nested");
    expect(copy.use(({ engine }) => engine)).not.toBe(first);
  });

  it("keeps its engine when a statement was only too much to plan", () => {
    const copy = keep();
    const first = copy.use(({ engine }) => engine);
    const sql = Array.from({ length: 24 }).reduce<string>(
      (inner) => `SELECT x + x AS x FROM (${inner})`,
      "SELECT 1 AS x",
    );
    expect(() => copy.use(({ engine }) => engine.plan(sql))).toThrow("too complex to plan");
    expect(copy.use(({ engine }) => engine)).toBe(first);
    expect(columnsOf(copy)).toMatchObject([{ detail: "SCAN t" }]);
  });
});

describe("a scratch", () => {
  it("takes its engines from the pool, and gives a bad one back", () => {
    const pool = createEnginePool(20 * MIB);
    const scratch = createScratch(pool);
    const use = (work: (engine: Engine) => void): void => scratch.use(SNAPSHOT, ["t"], ({ engine }) => work(engine));
    use((engine) => engine.plan("SELECT b FROM t"));
    expect(pool.totalBytes()).toBeGreaterThan(0);
    expect(() => use((engine) => grow(engine, 30))).toThrow(AppError);
    expect(pool.totalBytes()).toBe(0);
    use((engine) => expect(engine.plan("SELECT b FROM t")).toHaveLength(1));
  });
});
