// The layout of GATEHOUSE_DB: migrations keep what the layout before held, and the Worker refuses a number that it does not know.
import { applyD1Migrations, createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import sample from "../../sample/gatehouse.config.ts";
import { createGatehouse } from "../../src/app/create-gatehouse.ts";
import { DATABASE_LAYOUT_NUMBER, createLayoutCheck } from "../../src/app/database-layout-store.ts";
import { MASKING_TOKEN_TABLE } from "../../src/policy/masks.ts";
import { SOURCE_LAYOUT_NUMBER, SOURCE_TABLES_SQL } from "../../src/masking-tokens/masking-token-table.ts";
import { ORIGIN } from "../support/worker.ts";

const setLayout = async (number: number, oldestReader = number): Promise<unknown> =>
  env.GATEHOUSE_DB.prepare("UPDATE layout SET number = ?, oldest_reader = ?").bind(number, oldestReader).run();

/** Creates a check as a new isolate has it. `clock.ms` is its time; `errors` collects what it reports. */
function createCheck(database: D1Database) {
  const clock = { ms: 0 };
  const errors: unknown[] = [];
  const check = createLayoutCheck({ database, now: () => clock.ms, onError: (error) => errors.push(error) });
  return { check, clock, errors };
}

describe("migrations", () => {
  it("leave the layout that this version needs", async () => {
    expect(await env.GATEHOUSE_DB.prepare("SELECT number FROM layout").first("number")).toBe(DATABASE_LAYOUT_NUMBER);
  });

  it("keep every row of layout 0", async () => {
    const at = env.TEST_GATEHOUSE_MIGRATIONS.findIndex(({ name }) => name.startsWith("0007"));
    const database = env.OPS_DB;
    await applyD1Migrations(database, env.TEST_GATEHOUSE_MIGRATIONS.slice(0, at), "gatehouse_migrations");
    await database.batch(
      [
        `INSERT INTO member (email, roles, attributes, changed_by, changed_ms, version, told_version)
          VALUES ('a@b.example', '{}', '{}', 'x', 1, 3, 2)`,
        `INSERT INTO access_token (id, hash, owner_id, name, roles, made_by, made_ms, expires_ms, is_end_told)
          VALUES ('t', 'h', 'o', 'n', '[]', 'm', 1, 2, 1)`,
        `INSERT INTO document_source (source, sweep, swept_ms) VALUES ('handbook', 4, 5)`,
        `INSERT INTO setup_try (subject_id, at_ms) VALUES ('s', 6)`,
      ].map((sql) => database.prepare(sql)),
    );
    await applyD1Migrations(database, env.TEST_GATEHOUSE_MIGRATIONS, "gatehouse_migrations");
    const rows = await database.batch(
      [
        "SELECT email, version, propagated_version FROM member",
        "SELECT id, hash, is_end_propagated, recorded_refusals FROM personal_access_token",
        "SELECT source, reindex_run, reindexed_ms FROM document_source",
        "SELECT * FROM setup_attempt",
      ].map((sql) => database.prepare(sql)),
    );
    expect(rows.map(({ results }) => results)).toEqual([
      [{ email: "a@b.example", version: 3, propagated_version: 2 }],
      [{ id: "t", hash: "h", is_end_propagated: 1, recorded_refusals: "[]" }],
      [{ source: "handbook", reindex_run: 4, reindexed_ms: 5 }],
      [{ subject_id: "s", at_ms: 6 }],
    ]);
  });
});

describe("the layout check", () => {
  afterEach(async () => setLayout(DATABASE_LAYOUT_NUMBER));

  it("refuses a database that a newer version changed so that this one cannot use it, until it is right", async () => {
    const { check } = createCheck(env.GATEHOUSE_DB);
    await setLayout(DATABASE_LAYOUT_NUMBER + 1);
    await expect(check()).rejects.toThrow(/GATEHOUSE_DB has layout 2.*needs layout 1.*npm run deploy.*npm run reset/);
    await setLayout(DATABASE_LAYOUT_NUMBER);
    await expect(check()).resolves.toBeUndefined();
  });

  it("passes a database that a newer version changed so that this one still works", async () => {
    await setLayout(DATABASE_LAYOUT_NUMBER + 1, DATABASE_LAYOUT_NUMBER);
    await expect(createCheck(env.GATEHOUSE_DB).check()).resolves.toBeUndefined();
  });

  it("names layout 0 and how to migrate when the database has no number", async () => {
    await expect(createCheck(env.SHOP_DB).check()).rejects.toThrow(/has layout 0.*npm start/);
  });

  it("passes, reports the error and asks again later when the database fails", async () => {
    let requests = 0;
    const failing = {
      prepare() {
        requests += 1;
        throw new Error("D1_ERROR: unavailable");
      },
    } as unknown as D1Database;
    const { check, clock, errors } = createCheck(failing);
    await check();
    const requestsOfOneCheck = requests;
    await check();
    expect([requests, errors.length]).toEqual([requestsOfOneCheck, 1]);
    clock.ms += 10_000;
    await check();
    expect(errors).toHaveLength(2);
  });

  it("passes after a second when the database does not answer", async () => {
    const silent = { prepare: () => ({ first: () => new Promise(() => {}) }) } as unknown as D1Database;
    const { check, errors } = createCheck(silent);
    await check();
    expect(String(errors)).toContain("did not answer within 1000 ms");
  });
});

describe("a request to a version that does not work with the database", () => {
  afterEach(async () => setLayout(DATABASE_LAYOUT_NUMBER));

  it("gets 503 with Retry-After, and the log names the layout", async () => {
    await setLayout(DATABASE_LAYOUT_NUMBER + 1);
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    const response = await createGatehouse(sample).handler.fetch(
      new Request(`${ORIGIN}/`),
      env,
      createExecutionContext(),
    );
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("30");
    expect(await response.text()).not.toContain("layout 2");
    expect(JSON.stringify(log.mock.calls)).toContain("GATEHOUSE_DB has layout 2");
    log.mockRestore();
  });
});

describe("the tables in a source's own database", () => {
  it("take over the masking tokens of layout 0, and can be created again", async () => {
    const database = env.SHOP_DB;
    await database.batch(
      [
        `DROP TABLE ${MASKING_TOKEN_TABLE}`,
        "DROP TABLE _gatehouse_layout",
        `CREATE TABLE _gatehouse_token (
          domain TEXT NOT NULL, value TEXT NOT NULL, token TEXT NOT NULL, PRIMARY KEY (domain, value)) WITHOUT ROWID`,
        "INSERT INTO _gatehouse_token VALUES ('email#1', 'a@b.example', 'tok_aaaaaaaaaaaaaaaa')",
      ].map((sql) => database.prepare(sql)),
    );
    const statements = SOURCE_TABLES_SQL.map((sql) => database.prepare(sql));
    await database.batch(statements);
    await database.batch(statements);
    expect((await database.prepare(`SELECT * FROM ${MASKING_TOKEN_TABLE}`).all()).results).toEqual([
      { domain: "email#1", value: "a@b.example", masking_token: "tok_aaaaaaaaaaaaaaaa" },
    ]);
    expect(await database.prepare("SELECT number FROM _gatehouse_layout").first("number")).toBe(SOURCE_LAYOUT_NUMBER);
    expect(await database.prepare("SELECT 1 FROM sqlite_schema WHERE name = '_gatehouse_token'").first()).toBeNull();
  });
});
