// Before each test file in workerd: the sample's tables, empty, and Gatehouse's own beside them.
import { applyD1Migrations } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { TOKEN_TABLE_SQL } from "../../src/sources/token-table.ts";

await applyD1Migrations(env.GATEHOUSE_DB, env.TEST_GATEHOUSE_MIGRATIONS);
await applyD1Migrations(env.SHOP_DB, env.TEST_SHOP_MIGRATIONS);
await applyD1Migrations(env.OPS_DB, env.TEST_OPS_MIGRATIONS);
for (const database of [env.SHOP_DB, env.OPS_DB])
  await database.batch(TOKEN_TABLE_SQL.map((sql) => database.prepare(sql)));
