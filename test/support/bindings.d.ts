// Types of the bindings that only tests have: the sample's, test rate limits, and the migrations to apply.
import type { D1Migration } from "@cloudflare/vitest-plugin";

declare global {
  namespace Cloudflare {
    interface Env {
      SHOP_DB: D1Database;
      OPS_DB: D1Database;
      HANDBOOK: KVNamespace;
      /** A second source of documents, in addition to the sample's handbook. */
      ARCHIVE: KVNamespace;
      /** The database that every example names. Each test of an example creates its tables. */
      EXAMPLE_DB: D1Database;
      /** An empty bucket. Tests that archive into it bind it as GATEHOUSE_ARCHIVE. */
      TEST_AUDIT_BUCKET: R2Bucket;
      TEST_GATEHOUSE_MIGRATIONS: D1Migration[];
      TEST_SHOP_MIGRATIONS: D1Migration[];
      TEST_OPS_MIGRATIONS: D1Migration[];
      TEST_LIMIT_PAGES: RateLimit;
      TEST_LIMIT_REGISTER: RateLimit;
      TEST_LIMIT_TOKEN: RateLimit;
      TEST_LIMIT_MCP: RateLimit;
      /** How long fuzzers run, in minutes; 0 runs their fixed number of cases. */
      FUZZ_MINUTES: string;
      FUZZ_SEED: string;
    }
  }
}
