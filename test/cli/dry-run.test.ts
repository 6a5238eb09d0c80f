// Tests that `npm run deploy -- --dry-run` says what a deployment would do, against a fake of Cloudflare's API, and changes nothing.
import { existsSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createProject } from "../support/node/platform/project.ts";
import type { Project } from "../support/node/platform/project.ts";
import { startPlatform } from "../support/node/platform/server.ts";
import type { StandIn } from "../support/node/platform/server.ts";

const MINUTES = 60_000;
let platform: StandIn;
let project: Project;

beforeAll(async () => {
  platform = await startPlatform();
  project = createProject(platform);
});
afterAll(async () => {
  project.remove();
  await platform.close();
});

/** Runs a dry run that must change neither the account nor wrangler.jsonc. */
async function plan(args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<string> {
  const before = readFileSync(project.file("wrangler.jsonc"), "utf8");
  const { status, output } = await project.deploy(["--dry-run", ...args], undefined, env);
  expect(status, output).toBe(0);
  expect(platform.changes).toEqual([]);
  expect(readFileSync(project.file("wrangler.jsonc"), "utf8")).toBe(before);
  return output;
}

describe("npm run deploy -- --dry-run", () => {
  it("lists what a deployment would create, then what it would keep and change", { timeout: 5 * MINUTES }, async () => {
    const first = await plan(["--outdir", "built"]);
    expect(existsSync(project.file("built/index.js"))).toBe(true);
    const migrations = project.migrations().join(", ");
    for (const line of [
      "A deployment of gatehouse to the account Acme, at https://gatehouse.acme.workers.dev, would:",
      "- write GATEHOUSE_URL https://gatehouse.acme.workers.dev to wrangler.jsonc",
      "- create the D1 database gatehouse for GATEHOUSE_DB",
      "- create the D1 database crm for CRM_DB, which is empty until npm run gatehouse -- push CRM_DB",
      "- create the KV namespace gatehouse-handbook for HANDBOOK",
      `- migrate GATEHOUSE_DB: ${migrations}`,
      "- create Gatehouse's tables in CRM_DB: _gatehouse_masking_token, _gatehouse_layout",
      "- migrate Durable Objects: v1, v2",
      "- set cron triggers: */10 * * * *",
      "- generate the secret GATEHOUSE_SETUP_CODE",
      "- generate the secret GATEHOUSE_AUDIT_KEY",
      "- generate the secret GATEHOUSE_TOKEN_KEY",
    ])
      expect(first.split("\n")).toContain(line);
    expect(first).toMatch(/^- create the Worker gatehouse \(\d+\.\d+\.\d+-[0-9a-f]{12}\)$/m);

    const { status, output } = await project.deploy();
    expect(status, output).toBe(0);
    const crm = platform.account.databaseOf("crm");
    project.edit("src/gatehouse.config.ts", 'title: "CRM"', 'title: "Customers"');
    project.write("mine.env", "UPSTREAM_SECRET=of-the-operator\n");
    const second = await plan(["--secrets-file", "mine.env"]);
    for (const line of [
      `- keep CRM_DB: the D1 database ${crm.uuid}`,
      "- keep the tables of GATEHOUSE_DB",
      "- set the secret UPSTREAM_SECRET",
    ])
      expect(second.split("\n")).toContain(line);
    expect(second).toMatch(/^- replace the Worker gatehouse \(.*\) by .*$/m);
    expect(second).not.toMatch(/create|generate|migrate|of-the-operator/);
  });

  it(
    "warns of what no one can read, of personal columns in clear, and of a missing sign-in, without an API token too",
    {
      timeout: 2 * MINUTES,
    },
    async () => {
      project.edit(
        "src/gatehouse.config.ts",
        "masks: { email:",
        "masks: {}, hidden: [] }], }, other: { description: 'x', rules: [{ action: 'read', datasets: ['crm.customers'], masks: { email:",
      );
      project.configure({ vars: { GATEHOUSE_SIGN_IN: "none" } });
      const output = await plan([], { CLOUDFLARE_API_TOKEN: "" });
      expect(output).toContain("warning: GATEHOUSE_SIGN_IN is none, so users could not sign in");
      expect(output).toContain("warning: handbook: no rule allows reading it.");
      expect(output).toContain(
        "warning: crm.customers.email: looks like an email address, and the role sales sees it in clear.",
      );
      expect(output).toContain("Set CLOUDFLARE_API_TOKEN to an API token, and run this again");
      for (const line of [
        `- CRM_DB: the D1 database ${platform.account.databaseOf("crm").uuid}, which must exist`,
        "- Gatehouse's tables in CRM_DB: _gatehouse_masking_token, _gatehouse_layout",
        "- cron triggers: */10 * * * *",
        "- the secret GATEHOUSE_TOKEN_KEY, generated unless it is set",
      ])
        expect(output.split("\n")).toContain(line);
    },
  );

  it("refuses --outdir without --dry-run, where it would have no effect", { timeout: MINUTES }, async () => {
    const { status, output } = await project.deploy(["--outdir", "built"]);
    expect(output).toContain("--outdir keeps the Worker that --dry-run builds. Without --dry-run it has no effect.");
    expect(status).toBe(2);
    expect(platform.changes).toEqual([]);
  });
});
