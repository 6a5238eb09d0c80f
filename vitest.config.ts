// Configures two kinds of tests. Most run in workerd with real D1, KV and Durable Objects. Those in the folders of NODE_TESTS run in Node,
// where they start the real server or read the repository.
import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import path from "node:path";
import { defineConfig } from "vitest/config";
import { unstable_readConfig } from "wrangler";
import { generateSqliteModule } from "./cli/project/sqlite-module.ts";
import { outside } from "./test/support/node/outside.ts";

const NODE_TESTS = [
  "test/browser/**/*.test.ts",
  "test/e2e/**/*.test.ts",
  "test/cli/**/*.test.ts",
  "test/repo/**/*.test.ts",
  "test/runtime/**/*.test.ts",
  "test/survival/**/*.test.ts",
];

const WRANGLER_CONFIG = "sample/wrangler.jsonc";

generateSqliteModule();

/** The aliases of the wrangler configuration, which the plugin does not read. */
const { alias: aliases = {} }: { alias?: Record<string, string> } = unstable_readConfig({ config: WRANGLER_CONFIG });

export default defineConfig({
  test: {
    // CI has 2 cores. Vitest would leave one of them to its own process, which does little.
    maxWorkers: 2,
    // Hides the Worker's call log, which has two lines for each call of every test.
    onConsoleLog: (line) => !line.startsWith('{"event":"call_'),
    projects: [
      {
        resolve: {
          alias: Object.fromEntries(
            Object.entries(aliases).map(([name, file]) => [name, path.resolve(path.dirname(WRANGLER_CONFIG), file)]),
          ),
        },
        plugins: [
          cloudflareTest(async () => ({
            wrangler: { configPath: WRANGLER_CONFIG },
            miniflare: {
              outboundService: outside,
              // Many tests send more requests than a user does; tests of the limits have their own small ones.
              ratelimits: {
                LIMIT_MCP: { namespace_id: "7204", simple: { limit: 1_000_000, period: 60 } },
                TEST_LIMIT_PAGES: { namespace_id: "7301", simple: { limit: 60, period: 60 } },
                TEST_LIMIT_REGISTER: { namespace_id: "7302", simple: { limit: 30, period: 60 } },
                TEST_LIMIT_TOKEN: { namespace_id: "7303", simple: { limit: 70, period: 60 } },
                TEST_LIMIT_MCP: { namespace_id: "7304", simple: { limit: 80, period: 60 } },
              },
              kvNamespaces: ["ARCHIVE"],
              d1Databases: ["EXAMPLE_DB"],
              r2Buckets: ["TEST_AUDIT_BUCKET"],
              bindings: {
                TEST_GATEHOUSE_MIGRATIONS: await readD1Migrations("migrations"),
                TEST_SHOP_MIGRATIONS: await readD1Migrations("sample/migrations/shop"),
                TEST_OPS_MIGRATIONS: await readD1Migrations("sample/migrations/ops"),
                GATEHOUSE_TOKEN_KEY: "a key of tests, long enough to be one",
                FUZZ_MINUTES: process.env["FUZZ_MINUTES"] ?? "0",
                FUZZ_SEED: process.env["FUZZ_SEED"] ?? "1",
              },
            },
          })),
        ],
        test: {
          name: "workers",
          include: ["test/**/*.test.ts"],
          exclude: NODE_TESTS,
          setupFiles: ["test/support/setup.ts"],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: "node",
          include: NODE_TESTS,
          globalSetup: ["test/support/node/server.ts"],
          testTimeout: 30_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
