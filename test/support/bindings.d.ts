// Bindings that only tests have: those of the sample, and the migrations to apply.
import type { D1Migration } from "@cloudflare/vitest-plugin";

declare global {
  namespace Cloudflare {
    interface Env {
      SHOP_DB: D1Database;
      OPS_DB: D1Database;
      HANDBOOK: KVNamespace;
      /** A second source of documents, beside the sample. */
      ARCHIVE: KVNamespace;
      TEST_GATEHOUSE_MIGRATIONS: D1Migration[];
      TEST_SHOP_MIGRATIONS: D1Migration[];
      TEST_OPS_MIGRATIONS: D1Migration[];
      TEST_LIMIT_PAGES: RateLimit;
      TEST_LIMIT_REGISTER: RateLimit;
      TEST_LIMIT_TOKEN: RateLimit;
      TEST_LIMIT_MCP: RateLimit;
      /** How long fuzzers run, in minutes; 0 for their bounded sample. */
      FUZZ_MINUTES: string;
      FUZZ_SEED: string;
    }
  }
}
