// The engines of an isolate: they share one memory budget, and an engine that ran out of memory is not used again.
import { describe, expect, it } from "vitest";
import { AppError } from "../../src/errors.ts";
import { cacheSchemaCopy } from "../../src/sql/schema-copy-cache.ts";
import { EngineExhausted } from "../../src/sql/engine/meter.ts";
import { createEnginePool } from "../../src/sql/engine/pool.ts";
import { openEngine } from "../../src/sql/engine/sqlite.ts";
import type { Engine } from "../../src/sql/engine/sqlite.ts";
import type { SchemaSnapshot } from "../../src/sql/schema-copy.ts";
import { createSchemaSandbox } from "../../src/sql/schema-sandbox.ts";

const MIB = 1024 * 1024;
const SNAPSHOT: SchemaSnapshot = {
  objects: [{ type: "table", name: "t", table: "t", rootPage: 2, sql: "CREATE TABLE t (a INTEGER PRIMARY KEY, b)" }],
  statistics: [],
  rowCounts: new Map(),
};
const cacheCopy = (pool = createEnginePool()) => cacheSchemaCopy(pool, SNAPSHOT, ["t"]);
/** Stores megabytes, so that the engine has to grow. */
const grow = (engine: Engine, times = 12): void => {
  engine.execute("CREATE TABLE big (x)");
  for (let time = 0; time < times; time += 1) engine.execute("INSERT INTO big VALUES (zeroblob(1000000))");
};

describe("an engine", () => {
  it("throws EngineExhausted when it may not grow, and at every call afterwards", () => {
    const engine = openEngine(() => false);
    expect(() => grow(engine)).toThrow(EngineExhausted);
    expect(() => engine.plan("SELECT 1")).toThrow("memory");
    expect(() => engine.compile("SELECT 1", () => 0)).toThrow("memory");
  });

  it("asks before its memory grows", () => {
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

describe("SQLite without its extensions", () => {
  const open = () => openEngine(() => true);

  it.each(["fts5", "fts5vocab", "rtree", "rtree_i32", "geopoly", "dbstat", "sqlite_dbpage", "bytecode", "sqlite_stmt"])(
    "has no module %s",
    (name) => {
      expect(() => open().execute(`CREATE VIRTUAL TABLE v USING ${name}(a, b, c)`)).toThrow(`no such module: ${name}`);
      expect(open().compile(`SELECT * FROM ${name}`, () => 0)).toMatchObject({ message: `no such table: ${name}` });
    },
  );

  it.each(["fts5(1)", "highlight(1)", "bm25(1)", "rtreenode(1, 2)", "rtreecheck('t')", "geopoly_area('')"])(
    "has no function %s",
    (call) => {
      const compiled = open().compile(`SELECT ${call}`, () => 0);
      expect(compiled).toMatchObject({ message: `no such function: ${call.split("(")[0] ?? ""}` });
    },
  );

  it.each([
    ["SELECT group_concat(value) FROM json_each('[1,2]')", "1,2"],
    ["SELECT count(*) FROM json_tree('{\"a\":[1,2]}')", "4"],
    ["SELECT json_extract('{\"a\":[1,2]}', '$.a[1]')", "2"],
    ["SELECT round(sqrt(2) + ln(exp(1)) + pow(2, 3) + degrees(pi()), 3)", "190.414"],
    ["SELECT median(value) FROM json_each('[1,2,4]')", "2.0"],
    ["SELECT strftime('%Y-%j', '2026-02-01') || printf(' %.2f', 1.005)", "2026-032 1.00"],
    ["SELECT name FROM pragma_table_info('sqlite_schema') WHERE cid = 1", "name"],
  ])("still answers %s", (sql, result) => {
    expect(open().query(sql)).toEqual([[result]]);
  });

  it("still builds, indexes, changes and sorts tables", () => {
    const engine = open();
    engine.execute(`CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT COLLATE NOCASE, c REAL GENERATED ALWAYS AS (a * 2.5));
      CREATE TABLE r (id PRIMARY KEY, a REFERENCES t ON DELETE CASCADE) WITHOUT ROWID;
      CREATE INDEX t_b ON t (b) WHERE a > 1;
      CREATE TRIGGER i AFTER INSERT ON t BEGIN INSERT INTO r VALUES (new.b || '!', new.a); END;
      INSERT INTO t (b) SELECT 'Row ' || value FROM json_each('[3,1,2]');
      ALTER TABLE t ADD COLUMN d DEFAULT 7; UPDATE t SET d = d + a RETURNING d; ANALYZE;`);
    expect(engine.query("SELECT t.b, c, d, lag(id) OVER (ORDER BY t.b) FROM t JOIN r USING (a) ORDER BY t.b")).toEqual([
      ["Row 1", "5.0", "9", null],
      ["Row 2", "7.5", "10", "Row 1!"],
      ["Row 3", "2.5", "8", "Row 2!"],
    ]);
    engine.execute("DELETE FROM t WHERE a = 2; REINDEX; PRAGMA integrity_check");
    expect(
      engine.query("WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i + 1 FROM n LIMIT 3) SELECT sum(i) FROM n"),
    ).toEqual([["6"]]);
  });
});

describe("a pool of engines", () => {
  it("never uses more memory than its budget", () => {
    const pool = createEnginePool(24 * MIB);
    const evicted: number[] = [];
    for (let index = 0; index < 5; index += 1) {
      pool.open(() => evicted.push(index));
      expect(pool.totalBytes()).toBeLessThanOrEqual(24 * MIB);
    }
    expect(evicted).toEqual([0, 1]);
  });

  it("evicts the least recently used engine when another engine grows", () => {
    const pool = createEnginePool(24 * MIB);
    const evicted: string[] = [];
    const [first, second, third] = ["first", "second", "third"].map((name) => pool.open(() => evicted.push(name)));
    if (first === undefined || second === undefined || third === undefined) throw new Error("no engines");
    pool.use(first, () => first.plan("SELECT 1"));
    pool.use(third, () => grow(third, 8));
    expect(evicted[0]).toBe("second");
    expect(pool.totalBytes()).toBeLessThanOrEqual(24 * MIB);
  });

  it("does not evict an engine that is in use", () => {
    const pool = createEnginePool(16 * MIB);
    const engine = pool.open(() => {
      throw new Error("evicted while in use");
    });
    pool.use(engine, () => {
      const other = pool.open(() => {});
      expect(() => pool.use(other, () => pool.open(() => {}))).toThrow(EngineExhausted);
    });
  });
});

describe("a cached schema copy", () => {
  const planQuery = (copies: ReturnType<typeof cacheCopy>): unknown =>
    copies.use((copy) => copy.engine.plan("SELECT b FROM t"));

  it("is created again after its engine was evicted", () => {
    const pool = createEnginePool(16 * MIB);
    const copies = [cacheCopy(pool), cacheCopy(pool), cacheCopy(pool)];
    for (let round = 0; round < 3; round += 1)
      for (const copy of copies) expect(planQuery(copy)).toMatchObject([{ detail: "SCAN t" }]);
    expect(pool.totalBytes()).toBeLessThanOrEqual(16 * MIB);
  });

  it("gets a new engine after its engine ran out of memory, or grew too much", () => {
    const pool = createEnginePool(24 * MIB);
    const copy = cacheCopy(pool);
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

  it("gets a new engine after a trap, and tells the user what to do", () => {
    const copy = cacheCopy();
    let trappedEngine: Engine | undefined;
    expect(() =>
      copy.use(({ engine }) => {
        trappedEngine = engine;
        throw new WebAssembly.RuntimeError("unreachable");
      }),
    ).toThrow("too large or too deeply nested");
    expect(copy.use(({ engine }) => engine)).not.toBe(trappedEngine);
  });

  it("keeps its engine after a statement that was too complex to plan", () => {
    const copy = cacheCopy();
    const firstEngine = copy.use(({ engine }) => engine);
    const sql = Array.from({ length: 24 }).reduce<string>(
      (inner) => `SELECT x + x AS x FROM (${inner})`,
      "SELECT 1 AS x",
    );
    expect(() => copy.use(({ engine }) => engine.plan(sql))).toThrow("too complex to plan");
    expect(copy.use(({ engine }) => engine)).toBe(firstEngine);
    expect(planQuery(copy)).toMatchObject([{ detail: "SCAN t" }]);
  });
});

describe("a schema sandbox", () => {
  it("takes its engine from the pool, and returns a broken one", () => {
    const pool = createEnginePool(20 * MIB);
    const sandbox = createSchemaSandbox(pool);
    const use = (work: (engine: Engine) => void): void => sandbox.use(SNAPSHOT, ["t"], ({ engine }) => work(engine));
    use((engine) => engine.plan("SELECT b FROM t"));
    expect(pool.totalBytes()).toBeGreaterThan(0);
    expect(() => use((engine) => grow(engine, 30))).toThrow(AppError);
    expect(pool.totalBytes()).toBe(0);
    use((engine) => expect(engine.plan("SELECT b FROM t")).toHaveLength(1));
  });
});
