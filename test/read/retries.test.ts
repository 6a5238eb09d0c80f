// What a read does when its first attempt fails: which causes lead to another attempt, how many batches reach the database, and that an
// error of the user's own SQL is never tried again.
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { mask } from "../../src/config/define-gatehouse.ts";
import { listMaskingTokenColumns } from "../../src/masking-tokens/masking-token-columns.ts";
import { createMaskingTokenStore } from "../../src/masking-tokens/masking-token-store.ts";
import { SOURCE_TABLES_SQL } from "../../src/masking-tokens/masking-token-table.ts";
import { MAX_ATTEMPTS } from "../../src/read/read-executor.ts";
import { listenedReader } from "../support/listened.ts";
import { TOKEN_KEY } from "../support/governed.ts";
import { NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";

const config = buildPolicy({
  tables: { visits: { id: key(NUMBER), account: TEXT, email: TEXT, region: TEXT, note: TEXT } },
  roles: {
    north: [
      allow("shop.visits", {
        rows: { column: "region", op: "=", value: "north" },
        masks: { account: mask.token("account"), email: mask.email },
      }),
    ],
  },
});

function openReader() {
  if (TOKEN_KEY === null) throw new Error("the tests have no key for masking tokens");
  const columns = listMaskingTokenColumns(config.policy, "shop");
  return listenedReader(config, env.SHOP_DB, undefined, {
    store: createMaskingTokenStore(env.SHOP_DB, TOKEN_KEY),
    columns,
  });
}

const runSql = (sql: string) => env.SHOP_DB.prepare(sql).run();
let changes = 0;
const changeSchema = () => runSql(`ALTER TABLE visits ADD COLUMN more${(changes += 1)} TEXT`);

/** A value that is too large to go uncounted, and small enough to be answered. */
const WIDE = "zeroblob(60000)";

beforeEach(async () => {
  for (const sql of [
    "DROP TABLE IF EXISTS visits",
    "CREATE TABLE visits (id INTEGER PRIMARY KEY, account TEXT, email TEXT, region TEXT, note TEXT)",
    "CREATE INDEX visits_email ON visits (email)",
    ...SOURCE_TABLES_SQL,
    "DELETE FROM _gatehouse_masking_token",
    `INSERT INTO visits VALUES (1, 'A1', 'a@x.example', 'north', 'n'), (2, 'A2', 'b@x.example', 'north', hex(${WIDE})),
      (3, 'A3', 'c@x.example', 'south', 'n')`,
  ])
    await runSql(sql);
});

const COUNT = "SELECT count(*) FROM visits";
const ACCOUNTS = "SELECT count(account) FROM visits";
const NOTES = "SELECT id, length(note), substr(note, 1, 99000) FROM visits";

describe("a read", () => {
  it("sends one batch when nothing is in its way", async () => {
    const { reader, countBatches } = openReader();
    expect(await reader.outcome("north", COUNT)).toBe("[[2]]");
    expect(countBatches()).toBe(1);
  });

  it.each([
    ["masking tokens are missing", ACCOUNTS, async () => {}, "[[2]]"],
    ["the schema has changed since it was copied", COUNT, changeSchema, "[[2]]"],
  ])("sends two batches when %s", async (_case, sql, prepare, expected) => {
    const { reader, countBatches } = openReader();
    await reader.outcome("north", "SELECT id FROM visits");
    await prepare();
    const first = countBatches();
    expect(await reader.outcome("north", sql)).toBe(expected);
    expect(countBatches() - first).toBe(2);
  });

  it("sends two batches when a value is too large to go uncounted", async () => {
    const { reader, countBatches } = openReader();
    const { rows } = await reader.read("north", NOTES, [], 10_000);
    expect(rows).toHaveLength(2);
    expect(countBatches()).toBe(2);
  });

  it("is answered within the limit of batches when every cause of a retry occurs in one read", async () => {
    const { reader, before, countBatches } = openReader();
    await reader.outcome("north", "SELECT id FROM visits");
    const first = countBatches();
    before.batch = async (number) => (number === first + 2 ? changeSchema() : undefined);
    const sql = "SELECT account, substr(note, 1, 99000), id FROM visits WHERE email > 'a' OR email GLOB ?";
    const { rows } = await reader.read("north", sql, ["a*"], 10_000);
    expect(rows).toHaveLength(2);
    expect(countBatches() - first).toBeGreaterThan(2);
    expect(countBatches() - first).toBeLessThanOrEqual(MAX_ATTEMPTS);
  });

  it("gives up with a clear error, and within the limit of batches, when the schema changes before each batch", async () => {
    const { reader, before, countBatches } = openReader();
    before.batch = changeSchema;
    expect(await reader.outcome("north", COUNT)).toMatch(/^source_unavailable: The tables of shop are changing/);
    expect(countBatches()).toBeLessThanOrEqual(MAX_ATTEMPTS);
  });

  it.each([
    ["an overflow", "SELECT abs(-9223372036854775807 - id) FROM visits WHERE id = 1"],
    ["text that is not JSON", "SELECT json_extract(note, '$.a') FROM visits WHERE id = 1"],
    [
      "the text with which a missing masking token is reported",
      "SELECT json_extract('{}', 'gatehouse: masking token missing') FROM visits WHERE id = 1",
    ],
  ])("sends one batch when the user's SQL fails on a row by %s", async (_case, sql) => {
    const { reader, countBatches } = openReader();
    expect(await reader.outcome("north", sql)).toMatch(/^query_failed: /);
    expect(countBatches()).toBe(1);
  });
});
