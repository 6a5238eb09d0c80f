// A command waits while another process writes to its local database.
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Miniflare, convertV4MiniflareOptions } from "miniflare";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { waitForTurn } from "../../cli/local-server/waiting-database.ts";

const folder = mkdtempSync(path.join(tmpdir(), "gatehouse-waiting-"));
let miniflare: Miniflare;
let database: D1Database;

const OPTIONS = {
  ...convertV4MiniflareOptions({ modules: true, script: "export default {}", d1Databases: ["DB"] }),
  resourcePersistencePath: folder,
};

beforeAll(async () => {
  miniflare = new Miniflare(OPTIONS);
  database = await miniflare.getD1Database("DB");
  await database.prepare("CREATE TABLE t (n INTEGER)").run();
});
afterAll(async () => {
  await miniflare.dispose();
  rmSync(folder, { recursive: true, force: true });
});

/** Holds the write lock of the database's file. Returns the function that lets it go. */
function lock(): () => void {
  const name = readdirSync(folder, { recursive: true, encoding: "utf8" }).find((file) =>
    /[0-9a-f]{64}\.sqlite$/.test(file),
  );
  const other = new DatabaseSync(path.join(folder, name ?? ""));
  other.exec("BEGIN IMMEDIATE");
  return () => {
    other.exec("COMMIT");
    other.close();
  };
}

describe("a local database", () => {
  it("takes a statement and a batch once the other process has written", async () => {
    const waiting = waitForTurn(database);
    const unlock = lock();
    await expect(database.prepare("INSERT INTO t VALUES (1)").run()).rejects.toThrow("SQLITE_BUSY");
    const insert = waiting.prepare("INSERT INTO t VALUES (?)");
    const written = Promise.all([insert.bind(2).run(), waiting.batch([insert.bind(3), insert.bind(4)])]);
    unlock();
    await written;
    const { results } = await waiting.prepare("SELECT n FROM t ORDER BY n").all();
    expect(results).toEqual([{ n: 2 }, { n: 3 }, { n: 4 }]);
  });

  it("reads with the first statement of a process once the other process has written", async () => {
    const second = new Miniflare(OPTIONS);
    try {
      const [first, waiting] = [await second.getD1Database("DB"), waitForTurn(await second.getD1Database("DB"))];
      const unlock = lock();
      const reading = waiting.prepare("SELECT n FROM t WHERE n = 2").all();
      // It came later, so the other one has been refused too.
      await expect(first.prepare("SELECT n FROM t").all()).rejects.toThrow("session commit token");
      unlock();
      expect((await reading).results).toEqual([{ n: 2 }]);
    } finally {
      await second.dispose();
    }
  });

  it("gives the database's error at once when it is not about the lock", async () => {
    await expect(waitForTurn(database).prepare("SELECT * FROM absent").all()).rejects.toThrow("no such table: absent");
  });
});
