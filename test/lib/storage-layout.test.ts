// The layout of each Durable Object: created with its number, upgraded from the layout before, refused when it is unknown.
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { LEDGER_LAYOUT } from "../../src/audit/ledger-layout.ts";
import { createLazyTables } from "../../src/lib/lazy-tables.ts";
import { UnknownLayoutError, openLayout, upgradeLayout } from "../../src/lib/storage-layout.ts";
import type { StorageLayout } from "../../src/lib/storage-layout.ts";
import { SESSION_LAYOUT } from "../../src/mcp/sessions/session-layout.ts";
import { HUB_LAYOUT } from "../../src/mcp/subscriptions/hub-layout.ts";
import { GRANT_LAYOUT } from "../../src/oauth/grants/grant-layout.ts";

/** What each class stored before layouts had numbers, with a row in each table that was renamed, and that row after the upgrade. */
const LAYOUT_0: readonly {
  readonly layout: StorageLayout;
  readonly sql: string;
  readonly rows: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}[] = [
  {
    layout: LEDGER_LAYOUT,
    sql: `
      CREATE TABLE record (seq INTEGER PRIMARY KEY, call TEXT NOT NULL UNIQUE, body TEXT NOT NULL, hash TEXT NOT NULL);
      INSERT INTO record VALUES (1, 'c1', '{}', 'h1');
      CREATE TABLE lease (call TEXT PRIMARY KEY, attempt TEXT NOT NULL, began_ms INTEGER NOT NULL, deadline_ms INTEGER NOT NULL,
        day TEXT NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL);
      INSERT INTO lease VALUES ('c3', '{}', 1, 2, '2026-11-27', 3, 4);
      CREATE TABLE budget (day TEXT PRIMARY KEY, rows INTEGER NOT NULL);
      INSERT INTO budget VALUES ('2026-11-27', 40);
      CREATE TABLE slot (slot TEXT PRIMARY KEY, call TEXT NOT NULL, until_ms INTEGER NOT NULL);
      INSERT INTO slot VALUES ('shop', 'c2', 5);
      CREATE TABLE bookmark (slot TEXT PRIMARY KEY, bookmark TEXT NOT NULL);
      INSERT INTO bookmark VALUES ('shop', 'b1');
      CREATE TABLE mark (name TEXT PRIMARY KEY, at_ms INTEGER NOT NULL);
      INSERT INTO mark VALUES ('untrusted', 7);
      CREATE TABLE member (id INTEGER PRIMARY KEY CHECK (id = 1), email TEXT NOT NULL, version INTEGER NOT NULL, roles TEXT NOT NULL,
        attributes TEXT NOT NULL, groups TEXT NOT NULL, compared_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL);
      INSERT INTO member VALUES (1, 'a@b.example', 3, '["r"]', '{}', '[]', 1, 2);`,
    rows: {
      record: { seq: 1, call: "c1", body: "{}", hash: "h1", salts: null },
      lease: { call: "c3", rows: 3, bytes: 4, reveals: 0 },
      usage: { slice_ms: Date.parse("2026-11-27"), rows: 40, calls: 0 },
      query_lock: { source: "shop", call: "c2", until_ms: 5 },
      bookmark: { source: "shop", bookmark: "b1" },
      flag: { name: "untrusted", at_ms: 7 },
      cached_member: { email: "a@b.example", version: 3, roles: '["r"]' },
    },
  },
  {
    layout: GRANT_LAYOUT,
    sql: `
      CREATE TABLE entry (key TEXT PRIMARY KEY, value TEXT NOT NULL, metadata TEXT, expires_ms INTEGER,
        written_ms INTEGER NOT NULL) WITHOUT ROWID;
      INSERT INTO entry VALUES ('grant:u:g', '{}', NULL, NULL, 1);
      CREATE TABLE spent (hash TEXT PRIMARY KEY, grant_id TEXT NOT NULL, spent_ms INTEGER NOT NULL, answer BLOB) WITHOUT ROWID;
      CREATE INDEX spent_grant ON spent (grant_id, spent_ms);
      INSERT INTO spent VALUES ('h1', 'g', 4, NULL);
      CREATE TABLE past_token (hash TEXT PRIMARY KEY, grant_id TEXT NOT NULL, client_id TEXT NOT NULL, refusal TEXT NOT NULL,
        is_told INTEGER NOT NULL, until_ms INTEGER NOT NULL) WITHOUT ROWID;
      CREATE INDEX past_until ON past_token (until_ms);
      INSERT INTO past_token VALUES ('h2', 'g', 'c', 'revoked', 1, 9);
      CREATE TABLE duty (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL, due_ms INTEGER NOT NULL, tries INTEGER NOT NULL);
      INSERT INTO duty VALUES (8, '{"kind":"end"}', 10, 2);`,
    rows: {
      entry: { key: "grant:u:g", value: "{}" },
      spent_refresh_token: { hash: "h1", grant_id: "g", spent_ms: 4 },
      revoked_token: { hash: "h2", refusal: "revoked", is_reported: 1, until_ms: 9 },
      outbox: { id: 8, body: '{"kind":"end"}', due_ms: 10, tries: 2 },
    },
  },
  {
    layout: HUB_LAYOUT,
    sql: `
      CREATE TABLE session (id TEXT PRIMARY KEY, grant_id TEXT NOT NULL);
      INSERT INTO session VALUES ('s1', 'g');
      CREATE TABLE interest (topic TEXT NOT NULL, listener TEXT NOT NULL, PRIMARY KEY (topic, listener));
      CREATE INDEX interest_listener ON interest (listener);
      INSERT INTO interest VALUES ('t', 's1');
      CREATE TABLE care (topic TEXT NOT NULL, shard TEXT NOT NULL, PRIMARY KEY (topic, shard));
      INSERT INTO care VALUES ('t', 'subject x');`,
    rows: {
      session: { id: "s1", grant_id: "g", used_ms: 0 },
      subscription: { topic: "t", listener: "s1" },
      shard_subscription: { topic: "t", shard: "subject x" },
    },
  },
  {
    layout: SESSION_LAYOUT,
    sql: `
      CREATE TABLE session (id INTEGER PRIMARY KEY CHECK (id = 1), subject_id TEXT NOT NULL, grant_id TEXT NOT NULL,
        protocol_version TEXT NOT NULL, initialize TEXT NOT NULL, set_level TEXT, used_ms INTEGER NOT NULL,
        streams INTEGER NOT NULL DEFAULT 0, is_ended INTEGER NOT NULL DEFAULT 0);
      INSERT INTO session (id, subject_id, grant_id, protocol_version, initialize, used_ms) VALUES (1, 'u', 'g', '2025-11-25', '{}', 3);
      CREATE TABLE event (seq INTEGER PRIMARY KEY AUTOINCREMENT, stream INTEGER NOT NULL, message TEXT NOT NULL, bytes INTEGER NOT NULL);
      INSERT INTO event VALUES (2, 0, '{}', 2);
      CREATE TABLE pushed (wire_id TEXT PRIMARY KEY, stream INTEGER NOT NULL, request_id TEXT NOT NULL, key TEXT NOT NULL, answer TEXT,
        UNIQUE (stream, request_id, key));
      INSERT INTO pushed VALUES ('w', 1, '9', 'k', NULL);`,
    rows: {
      session: { subject_id: "u", grant_id: "g", used_ms: 3 },
      event: { seq: 2, message: "{}", grants: "[]" },
      server_request: { wire_id: "w", stream: 1, request_id: "9", key: "k", answer: null },
    },
  },
];

/** Runs the work in an object with empty storage. */
async function inEmptyObject<T>(work: (storage: DurableObjectStorage) => T): Promise<T> {
  const stub = env.SESSION.get(env.SESSION.newUniqueId());
  return runInDurableObject(stub, (_object, { storage }) => work(storage));
}

const readNumber = (storage: DurableObjectStorage): unknown =>
  storage.sql.exec("SELECT number FROM layout").one()["number"];

const listSchema = (storage: DurableObjectStorage): readonly unknown[] =>
  storage.sql
    .exec("SELECT type, name FROM sqlite_schema WHERE name NOT LIKE '\\_cf\\_%' ESCAPE '\\' ORDER BY type, name")
    .toArray();

describe.each(LAYOUT_0)("the layout of $layout.holder", ({ layout, sql, rows }) => {
  it("is created with its number in empty storage", async () => {
    expect(
      await inEmptyObject((storage) => {
        openLayout(storage, layout);
        return readNumber(storage);
      }),
    ).toBe(layout.upgrades.length);
  });

  it("is upgraded from layout 0 with every row, and equals a new one", async () => {
    const created = await inEmptyObject((storage) => {
      openLayout(storage, layout);
      return listSchema(storage);
    });
    const upgraded = await inEmptyObject((storage) => {
      storage.sql.exec(sql);
      openLayout(storage, layout);
      // A second start changes nothing.
      openLayout(storage, layout);
      const stored = Object.keys(rows).map((table) => storage.sql.exec(`SELECT * FROM ${table}`).one());
      return { schema: listSchema(storage), stored, number: readNumber(storage) };
    });
    expect(upgraded.schema).toEqual(created);
    expect(upgraded.number).toBe(layout.upgrades.length);
    for (const [index, row] of Object.values(rows).entries()) expect(upgraded.stored[index]).toMatchObject(row);
  });

  it("is refused with its number and the command when a newer version wrote it", async () => {
    const error = await inEmptyObject((storage) => {
      openLayout(storage, layout);
      storage.sql.exec("UPDATE layout SET number = 7");
      try {
        return openLayout(storage, layout);
      } catch (thrown) {
        return thrown;
      }
    });
    expect(error).toBeInstanceOf(UnknownLayoutError);
    expect(String(error)).toMatch(
      new RegExp(`${layout.holder}: the storage has layout 7.*npm run deploy.*npm run reset`),
    );
  });
});

describe("a table that was added without a new number", () => {
  it("is created beside the rows of an object that an earlier version wrote", async () => {
    const { additions: _additions, ...before } = LEDGER_LAYOUT;
    const [stored, added, number] = await inEmptyObject((storage) => {
      openLayout(storage, before);
      storage.sql.exec("INSERT INTO bookmark VALUES ('shop', 'b1')");
      openLayout(storage, LEDGER_LAYOUT);
      openLayout(storage, LEDGER_LAYOUT);
      const { sql } = storage;
      return [
        sql.exec("SELECT * FROM bookmark").toArray(),
        ["result_number", "result_lease", "ended_grant"].map((table) => sql.exec(`SELECT * FROM ${table}`).toArray()),
        readNumber(storage),
      ];
    });
    expect(stored).toEqual([{ source: "shop", bookmark: "b1" }]);
    expect(added).toEqual([[], [], []]);
    expect(number).toBe(LEDGER_LAYOUT.upgrades.length);
  });
});

describe("an upgrade that fails", () => {
  it("leaves the layout as it was", async () => {
    const broken: StorageLayout = {
      holder: "Test",
      schema: "CREATE TABLE IF NOT EXISTS b (x)",
      upgrades: [
        (sql) => sql.exec("ALTER TABLE a RENAME TO b"),
        () => {
          throw new Error("cut off");
        },
      ],
    };
    const tables = await inEmptyObject((storage) => {
      storage.sql.exec("CREATE TABLE a (x)");
      expect(() => upgradeLayout(storage, broken)).toThrow("cut off");
      return listSchema(storage);
    });
    expect(tables).toEqual([{ type: "table", name: "a" }]);
  });
});

describe("lazy tables", () => {
  it("store nothing until the first write", async () => {
    const [before, after] = await inEmptyObject((storage) => {
      const tables = createLazyTables(storage, GRANT_LAYOUT);
      const schemaBefore = [tables.getIfCreated(), ...listSchema(storage)];
      tables.ensureCreated();
      return [schemaBefore, readNumber(storage)];
    });
    expect(before).toEqual([undefined]);
    expect(after).toBe(1);
  });
});

describe("objects of the Worker", () => {
  it.each([
    [LEDGER_LAYOUT, env.LEDGER.get(env.LEDGER.idFromName("a new owner"))],
    [HUB_LAYOUT, env.HUB.get(env.HUB.idFromName("subject a new owner"))],
  ] as const)("$holder has the number of its layout from its first call on", async ({ upgrades }, stub) => {
    expect(await runInDurableObject(stub as DurableObjectStub, (_object, { storage }) => readNumber(storage))).toBe(
      upgrades.length,
    );
  });

  it("WorkspaceObject refuses to open results that a newer version stored", async () => {
    const stub = env.WORKSPACE.get(env.WORKSPACE.idFromName("a subject of a newer version"));
    await runInDurableObject(stub, (_object, { storage }) => storage.kv.put("layout", 9));
    // In the object, because the runtime reports the error of an RPC call as unhandled too.
    await runInDurableObject(stub, async (object) =>
      expect(object.open([])).rejects.toThrow(/WorkspaceObject: the storage has layout 9/),
    );
  });
});
