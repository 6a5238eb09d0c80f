// Tests `npm run deploy` against a fake of Cloudflare's API: which requests it sends, in which order, and that a run resumes an
// interrupted one wherever it was killed.
import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { createProject } from "../support/node/platform/project.ts";
import type { Project, Run } from "../support/node/platform/project.ts";
import { startPlatform } from "../support/node/platform/server.ts";
import type { StandIn } from "../support/node/platform/server.ts";

const MINUTES = 60_000;
const cleanups: (() => unknown)[] = [];
afterAll(async () => {
  for (const cleanup of cleanups) await cleanup();
});

interface Setup {
  readonly platform: StandIn;
  readonly project: Project;
}

async function setup(change: object = {}): Promise<Setup> {
  const platform = await startPlatform();
  const project = createProject(platform, change);
  writeFileSync(project.file("migrations/9000_test.sql"), "CREATE TABLE expanded (id INTEGER PRIMARY KEY);\n");
  cleanups.push(platform.close, project.remove);
  return { platform, project };
}

function expectDone({ status, output }: Run): void {
  expect(status, output).toBe(0);
}

/** The setup code that a run printed. */
function codeIn({ output }: Run): string | undefined {
  return /Setup code: ([0-9A-Z-]{29})\n/.exec(output)?.[1];
}

function secretsOf({ account }: StandIn, worker = "gatehouse"): Readonly<Record<string, string>> {
  return account.workers.has(worker) ? Object.fromEntries(account.deployedVersion(worker).secrets) : {};
}

function tablesOf({ account }: StandIn, database: string): readonly unknown[] {
  const sql = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
  return account
    .databaseOf(database)
    .content.prepare(sql)
    .all()
    .map(({ name }) => name);
}

/** Asserts that a deployment has everything that it needs, each thing once. */
function expectWhole({ platform, project }: Setup): void {
  const { account } = platform;
  expect(account.databases.map(({ name }) => name)).toEqual(["gatehouse", "crm"]);
  expect(account.namespaces.map(({ title }) => title)).toEqual(["gatehouse-handbook"]);
  expect([...account.workers.keys()]).toEqual(["gatehouse"]);
  const worker = account.workerOf("gatehouse");
  expect({ crons: worker.crons, isOnWorkersDev: worker.isOnWorkersDev, tag: worker.migrationTag }).toEqual({
    crons: ["*/10 * * * *"],
    isOnWorkersDev: true,
    tag: "v2",
  });
  expect(tablesOf(platform, "gatehouse")).toContain("expanded");
  expect(tablesOf(platform, "crm")).toEqual(["_gatehouse_layout", "_gatehouse_masking_token"]);
  expect(secretsOf(platform)).toEqual({
    GATEHOUSE_SETUP_CODE: expect.stringMatching(/^(?:[2-9A-HJ-NP-Z]{5}-){4}[2-9A-HJ-NP-Z]{5}$/),
    GATEHOUSE_AUDIT_KEY: expect.stringMatching(/^[0-9a-f]{64}$/),
    GATEHOUSE_TOKEN_KEY: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
  expect(project.secretFiles()).toEqual([]);
  const { vars, d1_databases: databases, kv_namespaces: namespaces } = project.configuration();
  expect(vars).toMatchObject({ GATEHOUSE_URL: "https://gatehouse.acme.workers.dev" });
  // The local ids stay, so that this machine goes on with its own data.
  expect(databases).toMatchObject(
    account.databases.map(({ uuid, name }) => ({ database_id: uuid, preview_database_id: `local-${name}` })),
  );
  expect(namespaces).toEqual([{ binding: "HANDBOOK", id: account.namespaces[0]?.id, preview_id: "HANDBOOK" }]);
}

describe("npm run deploy", () => {
  it(
    "creates what is missing once, and the next run changes only what has changed",
    async () => {
      const { platform, project } = await setup();
      const first = await project.deploy();
      expectDone(first);
      expect(platform.changes.map((change) => change.replace(/[0-9a-f-]{36}/, "…"))).toEqual([
        "POST /d1/database",
        "POST /d1/database",
        "POST /storage/kv/namespaces",
        // The table of applied migrations, each migration, and the table of masking tokens.
        ...Array.from({ length: project.migrations().length + 2 }, () => "POST /d1/database/…/query"),
        "PUT /workers/scripts/gatehouse",
        "POST /workers/scripts/gatehouse/subdomain",
        "PUT /workers/scripts/gatehouse/schedules",
      ]);
      expect(platform.refusals).toEqual([]);
      expectWhole({ platform, project });
      const secrets = secretsOf(platform);
      expect(codeIn(first)).toBe(secrets["GATEHOUSE_SETUP_CODE"]);
      for (const text of [
        "claude mcp add --transport http gatehouse https://gatehouse.acme.workers.dev/mcp",
        "It is empty",
      ])
        expect(first.output).toContain(text);
      expect(first.output).not.toContain(secrets["GATEHOUSE_TOKEN_KEY"]);
      expect(readFileSync(project.file("wrangler.jsonc"), "utf8")).toContain("// What outlives a user's objects");

      const second = await project.deploy();
      expectDone(second);
      expect(platform.changes).toEqual([]);
      expect(second.output).toContain("is already deployed, unchanged");
      expect(codeIn(second)).toBeUndefined();

      project.edit("src/gatehouse.config.ts", 'title: "CRM"', 'title: "Customers"');
      expectDone(await project.deploy());
      expect(platform.changes).toEqual([
        "POST /workers/scripts/gatehouse/versions",
        "POST /workers/scripts/gatehouse/deployments",
        "PATCH /workers/scripts/gatehouse/script-settings",
        "POST /workers/scripts/gatehouse/subdomain",
        "PUT /workers/scripts/gatehouse/schedules",
      ]);
      expect(secretsOf(platform)).toEqual(secrets);
      expectWhole({ platform, project });
    },
    3 * MINUTES,
  );

  it(
    "resumes a run that was killed at any request, without creating anything twice or losing a secret",
    async () => {
      const { platform, project } = await setup();
      // Each run is killed at the first change at which no earlier run was killed: the change is made, but its answer is lost.
      const cutAt: string[] = [];
      const isAt = (change: string): boolean => {
        // The first three of many equal requests (migrations) stand for all of them.
        const cuts = cutAt.filter((cut) => cut === change).length;
        if (cuts === 3) return false;
        const requests = platform.changes.filter((made) => made === change).length;
        const isNew = requests > cuts || !cutAt.includes(change);
        if (isNew) cutAt.push(change);
        return isNew;
      };
      let secrets: Readonly<Record<string, string>> = {};
      let last = await project.deploy([], { isAt, kind: "cut" });
      while (last.status === null) {
        // The Worker keeps the secrets of earlier runs.
        expect(secretsOf(platform)).toMatchObject(secrets);
        secrets = secretsOf(platform);
        last = await project.deploy([], { isAt, kind: "cut" });
      }
      expectDone(last);
      expect(cutAt.length, cutAt.join("\n")).toBeGreaterThanOrEqual(8);
      expectWhole({ platform, project });
      expect(codeIn(last)).toBe(secretsOf(platform)["GATEHOUSE_SETUP_CODE"]);
    },
    8 * MINUTES,
  );

  it(
    "prints the API's reason when an upload is refused, and the next run uploads the same secrets",
    async () => {
      const { platform, project } = await setup();
      const isAt = (change: string): boolean => change.startsWith("PUT /workers/scripts");
      const refused = await project.deploy([], { isAt, kind: "refused" });
      expect(refused.status).toBe(1);
      expect(refused.output).toContain("told to fail");
      const pending = JSON.parse(project.pending("gatehouse") ?? "{}");
      expect(Object.keys(pending).toSorted()).toEqual([
        "GATEHOUSE_AUDIT_KEY",
        "GATEHOUSE_SETUP_CODE",
        "GATEHOUSE_TOKEN_KEY",
      ]);
      expectDone(await project.deploy());
      expect(secretsOf(platform)).toEqual(pending);
      expectWhole({ platform, project });
    },
    3 * MINUTES,
  );
});
