// Before each test file in workerd: the sample's tables, empty.
import { applyD1Migrations } from "cloudflare:test";
import { env } from "cloudflare:workers";

await applyD1Migrations(env.SHOP_DB, env.TEST_SHOP_MIGRATIONS);
await applyD1Migrations(env.OPS_DB, env.TEST_OPS_MIGRATIONS);
