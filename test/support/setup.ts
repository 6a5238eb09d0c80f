// Runs before each test file in workerd: creates the sample's empty tables and Gatehouse's own tables.
import { applyD1Migrations } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { SOURCE_TABLES_SQL } from "../../src/masking-tokens/masking-token-table.ts";
import { CHANGE_TABLES_SQL } from "../../src/tables/change-journal.ts";

await applyD1Migrations(env.GATEHOUSE_DB, env.TEST_GATEHOUSE_MIGRATIONS);
await applyD1Migrations(env.SHOP_DB, env.TEST_SHOP_MIGRATIONS);
await applyD1Migrations(env.OPS_DB, env.TEST_OPS_MIGRATIONS);
for (const database of [env.SHOP_DB, env.OPS_DB])
  await database.batch([...SOURCE_TABLES_SQL, ...CHANGE_TABLES_SQL].map((sql) => database.prepare(sql)));
