// Two kinds of tests: most run in workerd with real D1, KV and Durable Objects; `e2e` and `repo` run in Node, where they
// start the real server or read the repository.
import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

const NODE_TESTS = ["test/e2e/**/*.test.ts", "test/repo/**/*.test.ts"];

export default defineConfig({
  test: {
    projects: [
      {
        plugins: [
          cloudflareTest(async () => ({
            wrangler: { configPath: "./sample/wrangler.jsonc" },
            miniflare: {
              // Nothing a test starts may reach the outside.
              outboundService: (request: { url: string }) => {
                throw new Error(`unexpected outgoing request to ${request.url}`);
              },
              bindings: {
                TEST_SHOP_MIGRATIONS: await readD1Migrations("sample/migrations/shop"),
                TEST_OPS_MIGRATIONS: await readD1Migrations("sample/migrations/ops"),
              },
            },
          })),
        ],
        test: { name: "workers", include: ["test/**/*.test.ts"], exclude: NODE_TESTS, setupFiles: ["test/support/setup.ts"] },
      },
      {
        test: { name: "node", include: NODE_TESTS, globalSetup: ["test/support/node/server.ts"], testTimeout: 30_000, hookTimeout: 120_000 },
      },
    ],
  },
});
