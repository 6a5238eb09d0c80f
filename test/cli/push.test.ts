// Tests that `push` copies a database exactly, into D1's own engine and over the platform's API, and that a push which is killed, cut off or
// refused at any request goes on without applying anything twice.
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createPlatform } from "../../cli/cloudflare-api/platform.ts";
import type { TargetDatabase } from "../../cli/introspection/copy-rows.ts";
import { addChecksums, checkLocally, formatChecksum } from "../../cli/push/checksum.ts";
import type { LocalSnapshot } from "../../cli/push/local-snapshot.ts";
import type { RunBatch } from "../../cli/push/push-record.ts";
import { pushSnapshot } from "../../cli/push/push.ts";
import { ACCOUNT } from "../support/node/platform/account.ts";
import type { Database } from "../support/node/platform/account.ts";
import { TOKEN, startPlatform } from "../support/node/platform/server.ts";
import type { FaultKind, StandIn } from "../support/node/platform/server.ts";
import { openLocalD1 } from "./local-d1.ts";
import type { LocalD1 } from "./local-d1.ts";
import { describeContent, fillWithEveryKind, openCreated, readFrom, runLocally, targetOf } from "./push-fixture.ts";

const SEEDS = 16;
/** Characters of rows in a batch: small, so that a table has several. */
const BATCH_LENGTH = 60;

/** What a deployed database had before: the same names with other columns, references in a cycle, and what Gatehouse keeps. */
const OLD = `CREATE TABLE customers (id INTEGER PRIMARY KEY, favourite REFERENCES orders (id));
  CREATE TABLE orders (id INTEGER PRIMARY KEY, customer REFERENCES customers (id));
  CREATE INDEX customers_domain ON customers (favourite);
  CREATE VIEW totals AS SELECT count(*) AS old FROM orders;
  CREATE TRIGGER note AFTER INSERT ON orders BEGIN UPDATE customers SET favourite = NULL; END;
  BEGIN; PRAGMA defer_foreign_keys = on; INSERT INTO customers VALUES (1, 2); INSERT INTO orders VALUES (2, 1); COMMIT;
  CREATE TABLE _gatehouse_masking_token (value TEXT); INSERT INTO _gatehouse_masking_token VALUES ('kept');
  CREATE TABLE d1_migrations (name TEXT); INSERT INTO d1_migrations VALUES ('0001');`;

const KEPT = {
  "table _gatehouse_masking_token": ["text4:6B6570746B657074"],
  "table d1_migrations": ["text4:3030303130303031"],
};

let d1: LocalD1;
let local: TargetDatabase;
let snapshot: LocalSnapshot;
let expected: Readonly<Record<string, readonly string[]>>;
let platform: StandIn;
let run: (database: Database) => RunBatch;
const snapshots: LocalSnapshot[] = [];

function open(index: number): LocalSnapshot {
  const opened = openCreated(d1, index);
  snapshots.push(opened);
  return opened;
}

beforeAll(async () => {
  d1 = await openLocalD1();
  local = await d1.create();
  await fillWithEveryKind(local);
  snapshot = open(0);
  expected = await describeContent(readFrom(snapshot.database));
  platform = await startPlatform();
  const client = createPlatform({ baseUrl: platform.url, token: TOKEN });
  run = (database) => async (batch) => client.runBatch(ACCOUNT, database.uuid, batch);
});
afterAll(async () => {
  for (const { database } of snapshots) database.close();
  await platform.close();
  await d1.dispose();
});

/** Numbers from a seed (mulberry32). */
function seeded(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

describe("a push into D1's own engine", { timeout: 120_000 }, () => {
  it("copies tables of every kind, values of every type, and values of nearly 2 MB, byte for byte", async () => {
    const [source, target] = [await d1.create(), await d1.create()];
    await fillWithEveryKind(source);
    const bytes = (length: number, byte: number): ArrayBuffer => new Uint8Array(length).fill(byte).buffer;
    const insert = source.prepare(
      "INSERT INTO large VALUES (?1, CASE ?1 WHEN 3 THEN CAST(?2 AS TEXT) ELSE ?2 END, ?3)",
    );
    await insert.bind(1, bytes(1_900_000, 7), "x").all();
    await insert.bind(2, "ä".repeat(300_000), bytes(600_000, 9)).all();
    await insert.bind(3, bytes(600_000, 255), null).all();
    const whole = open(1);
    await pushSnapshot(whole, targetOf(runLocally(target)), undefined);
    const read = async (sql: string) => (await target.prepare(sql).all()).results as Record<string, unknown>[];
    expect(await describeContent(read)).toEqual(await describeContent(readFrom(whole.database)));
    const ids = "SELECT rowid, number FROM orders ORDER BY rowid";
    expect(await read(ids)).toEqual([3, 5, 8].map((rowid) => expect.objectContaining({ rowid })));
    expect(await read("SELECT * FROM top_totals")).toEqual([
      { customer: 1, net: 0.1 },
      { customer: 7, net: 1e300 },
    ]);
    const insertNext = "INSERT INTO customers (email) VALUES ('next') RETURNING id";
    expect(await read(insertNext)).toEqual([{ id: 10 }]);
    await expect(target.prepare("INSERT INTO orders (number, customer) VALUES ('x', 99)").all()).rejects.toThrow(
      "FOREIGN KEY",
    );
  });
});

describe("a push over the platform's API", { timeout: 120_000 }, () => {
  it("applies nothing twice and loses nothing, wherever it is killed and whatever the platform does", async () => {
    const kinds: readonly FaultKind[] = ["busy", "broken", "brokenAfter", "cut", "lost", "late"];
    let [kills, faults] = [0, 0];
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const below = seeded(seed);
      const database = platform.account.makeDatabase(`seed-${seed}`);
      const isReplacing = seed % 2 === 0;
      if (isReplacing) database.content.exec(OLD);
      platform.fail(undefined);
      for (let runs = 0; ; runs += 1) {
        let requestsLeft = 3 + below(30 + runs * 20);
        const [kind, faultAt] = [kinds[below(kinds.length)] ?? "cut", below(12)];
        let changes = 0;
        platform.fail({ kind, isAt: () => changes++ % 13 === faultAt, lateBy: 1 + below(5) });
        const killed: RunBatch = async (batch) => {
          requestsLeft -= 1;
          // The process ends before a request, or while its effect is unknown.
          if (requestsLeft === 0) throw new Error("killed before");
          const answers = await run(database)(batch);
          if (requestsLeft === 1 && below(2) === 0) throw new Error("killed after");
          return answers;
        };
        const target = { ...targetOf(killed), name: database.name, batchLength: BATCH_LENGTH };
        const outcome = await pushSnapshot(snapshot, target, isReplacing ? database.name : undefined).catch(String);
        faults += changes > faultAt ? 1 : 0;
        if (typeof outcome !== "string") break;
        expect(outcome, `seed ${seed}`).toContain("killed");
        kills += 1;
        // Users read the old rows or all of the new ones.
        if (isReplacing) {
          const seen = database.content.prepare("SELECT count(*) AS n FROM customers").get()?.["n"];
          const columns = database.content.prepare("SELECT name FROM pragma_table_info('customers')").all().length;
          expect([`${columns}:${String(seen)}`], `seed ${seed}`).toEqual([columns === 2 ? "2:1" : "4:2"]);
        }
        expect(runs, `seed ${seed}`).toBeLessThan(40);
      }
      platform.fail(undefined);
      const content = await describeContent(readFrom(database.content));
      const kept = isReplacing ? KEPT : {};
      expect(content, `seed ${seed}`).toEqual({ ...expected, ...kept });
      platform.account.databases.splice(0);
    }
    expect(kills).toBeGreaterThan(SEEDS);
    expect(faults).toBeGreaterThan(SEEDS);
  });
});

describe("a push", { timeout: 60_000 }, () => {
  it("refuses a database that is not empty, and replaces it only under its own name", async () => {
    const database = platform.account.makeDatabase("occupied");
    database.content.exec(OLD);
    const before = await describeContent(readFrom(database.content));
    const said: string[] = [];
    const target = { ...targetOf(run(database), said), name: "occupied" };
    await expect(pushSnapshot(snapshot, target, undefined)).rejects.toMatchObject({
      message: "The database occupied is not empty: it has customers, orders, totals, note. Nothing was changed.",
      hint: "To replace all of it: npm run gatehouse -- push crm --replace occupied",
    });
    await expect(pushSnapshot(snapshot, target, "crm")).rejects.toThrow(
      "--replace names crm, but crm is the database occupied",
    );
    expect(said.filter((line) => line.includes("bookmark"))).toEqual([]);
    expect(await describeContent(readFrom(database.content))).toEqual(before);

    await pushSnapshot(snapshot, target, "occupied");
    expect(said.join("\n")).toContain("npx wrangler d1 time-travel restore occupied --bookmark=0000-before");
    expect(await describeContent(readFrom(database.content))).toEqual({ ...expected, ...KEPT });
  });

  it("fills a database in which a deployment has made Gatehouse's own tables, without a confirmation", async () => {
    const database = platform.account.makeDatabase("deployed");
    database.content.exec("CREATE TABLE _gatehouse_layout (number); CREATE TABLE d1_migrations (name)");
    await pushSnapshot(snapshot, targetOf(run(database)), undefined);
    const own = { "table _gatehouse_layout": [], "table d1_migrations": [] };
    expect(await describeContent(readFrom(database.content))).toEqual({ ...expected, ...own });
  });

  it("begins again when the local data has changed since it was interrupted", async () => {
    const database = platform.account.makeDatabase("changed");
    let requests = 0;
    const killed: RunBatch = async (batch) => {
      requests += 1;
      if (requests > 12) throw new Error("killed");
      return run(database)(batch);
    };
    await expect(pushSnapshot(snapshot, targetOf(killed), undefined)).rejects.toThrow("killed");
    const other = await d1.create();
    await other.batch([
      other.prepare("CREATE TABLE customers (id INTEGER PRIMARY KEY)"),
      other.prepare("INSERT INTO customers VALUES (5)"),
    ] as never[]);
    const changed = open(2);
    await pushSnapshot(changed, targetOf(run(database)), undefined);
    expect(await describeContent(readFrom(database.content))).toEqual(
      await describeContent(readFrom(changed.database)),
    );
  });

  it("stops when another push into the same database is faster, and neither applies a row twice", async () => {
    const database = platform.account.makeDatabase("twice");
    const target = { ...targetOf(run(database)), batchLength: BATCH_LENGTH };
    const outcomes = await Promise.allSettled([0, 1].map(async () => pushSnapshot(snapshot, target, undefined)));
    const reasons = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [String(outcome.reason)] : []));
    for (const reason of reasons) expect(reason).toContain("Another push into this database is running");
    await pushSnapshot(snapshot, target, undefined);
    expect(await describeContent(readFrom(database.content))).toEqual(expected);
  });

  it("names the tables that differ afterwards, and says how to copy them again", async () => {
    const database = platform.account.makeDatabase("different");
    const target = targetOf(run(database));
    await pushSnapshot(snapshot, target, undefined);
    expect((await pushSnapshot(snapshot, target, undefined)).data).toMatchObject({ sent: false });
    database.content.exec("UPDATE anything SET v = '' WHERE v IS NULL");
    await expect(pushSnapshot(snapshot, target, undefined)).rejects.toThrow(
      /^crm\.anything differs between this machine and D1:\n/,
    );
    expect((await pushSnapshot(snapshot, target, "crm")).data).toMatchObject({ sent: true, database: "crm" });
  });

  it("gives up after several attempts with the platform's reason, and a later run goes on", async () => {
    const database = platform.account.makeDatabase("busy");
    platform.fail({ kind: "busy", isAt: () => true });
    await expect(pushSnapshot(snapshot, targetOf(run(database)), undefined)).rejects.toMatchObject({
      message: expect.stringMatching(/Please wait and consider throttling.* It was tried 7 times\.$/),
      hint: "Run the command again: it goes on where it stopped.",
    });
    platform.fail(undefined);
    await pushSnapshot(snapshot, targetOf(run(database)), undefined);
    expect(await describeContent(readFrom(database.content))).toEqual(expected);
  });
});

describe("the checksum of a table", () => {
  const table = {
    name: "t",
    sql: "",
    columns: ["id", "a", "b"],
    key: ["id"],
    parents: [],
    rows: 3,
    sequence: undefined,
  };
  const sumAfter = (change: string): string => {
    const database = new DatabaseSync(":memory:");
    const long = "x".repeat(10_000);
    database.exec(
      `CREATE TABLE t (id INTEGER PRIMARY KEY, a, b); INSERT INTO t VALUES (1, 'p', 2), (2, 'q', NULL), (3, '${long}', 1.5); ${change}`,
    );
    return formatChecksum(addChecksums(checkLocally(database, table).ranges.map(({ checksum }) => checksum)));
  };

  it.each([
    ["a changed value", "UPDATE t SET b = 3 WHERE id = 1"],
    ["another type", "UPDATE t SET b = '2' WHERE id = 1"],
    ["a real in place of an integer", "UPDATE t SET b = 2.0 WHERE id = 1"],
    ["a blob in place of text", "UPDATE t SET a = CAST(a AS BLOB) WHERE id = 1"],
    ["empty text in place of NULL", "UPDATE t SET b = '' WHERE id = 2"],
    ["an empty blob in place of NULL", "UPDATE t SET b = x'' WHERE id = 2"],
    ["a value that moved to another column", "UPDATE t SET a = b, b = a WHERE id = 1"],
    ["values that moved to another row", "UPDATE t SET a = CASE id WHEN 1 THEN 'q' ELSE 'p' END WHERE id < 3"],
    ["the last bit of a real", "UPDATE t SET b = 1.5 + 2.220446049250313e-16 WHERE id = 3"],
    ["a byte far inside a long value", "UPDATE t SET a = substr(a, 1, 7000) || 'y' || substr(a, 7002) WHERE id = 3"],
    ["a missing row", "DELETE FROM t WHERE id = 2"],
  ])("notices %s", (_name, change) => {
    expect(sumAfter(change)).not.toBe(sumAfter(""));
  });
});
