// Tests the choices of `npm run deploy` and the errors that stop it before it creates anything, against a fake of Cloudflare's API.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chooseOrigin } from "../../cli/deploy/address.ts";
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

describe("chooseOrigin", () => {
  const base = {
    environment: undefined,
    worker: "gatehouse",
    accountId: undefined,
    bindings: [],
    variables: {},
    routes: [] as { readonly pattern: string; readonly isCustomDomain: boolean }[],
    isOnWorkersDev: false,
    crons: [],
    migrationTags: [],
    isObserved: false,
  };
  const domain = { pattern: "data.acme.example", isCustomDomain: true };
  const route = (pattern: string) => ({ pattern, isCustomDomain: false });
  const url = (GATEHOUSE_URL: string) => ({ GATEHOUSE_URL });

  it.each([
    ["the workers.dev name", { isOnWorkersDev: true }, "https://gatehouse.acme.workers.dev"],
    ["the custom domain", { routes: [domain] }, "https://data.acme.example"],
    [
      "the custom domain in preference to workers.dev",
      { routes: [domain], isOnWorkersDev: true },
      "https://data.acme.example",
    ],
    [
      "the host of a route that matches a whole host",
      { routes: [route("mcp.acme.example/*")] },
      "https://mcp.acme.example",
    ],
    [
      "GATEHOUSE_URL when the configuration serves it",
      { routes: [domain], variables: url("https://data.acme.example/") },
      "https://data.acme.example",
    ],
    [
      "GATEHOUSE_URL when a wildcard route serves it",
      { routes: [route("*.acme.example/*")], variables: url("https://mcp.acme.example") },
      "https://mcp.acme.example",
    ],
  ])("chooses %s", (_name, change, origin) => {
    expect(chooseOrigin({ ...base, ...change }, "acme")).toBe(origin);
  });

  it.each([
    [
      "GATEHOUSE_URL is not a served host",
      { routes: [domain], variables: url("https://gatehouse.acme.workers.dev") },
      "serves data.acme.example",
    ],
    [
      "GATEHOUSE_URL is the apex of a wildcard route",
      { routes: [route("*.acme.example/*")], variables: url("https://acme.example") },
      "serves no address",
    ],
    [
      "the route of GATEHOUSE_URL matches one path only",
      { routes: [route("acme.example/mcp*")], variables: url("https://acme.example") },
      "serves no address",
    ],
    [
      "GATEHOUSE_URL is an http URL",
      { isOnWorkersDev: true, variables: url("http://gatehouse.acme.workers.dev") },
      "https origin",
    ],
    ["the configuration has neither workers.dev nor a route", {}, "no routes"],
    ["the only route matches part of a host", { routes: [route("acme.example/data/*")] }, "Set GATEHOUSE_URL"],
  ])("throws when %s", (_name, change, words) => {
    expect(() => chooseOrigin({ ...base, ...change }, "acme")).toThrow(words);
  });

  it("throws when the account has no workers.dev subdomain", () => {
    expect(() => chooseOrigin({ ...base, isOnWorkersDev: true }, undefined)).toThrow("no workers.dev subdomain");
  });
});

describe("a refused deployment creates nothing and says", () => {
  const expectRefused = async (
    words: string,
    args: readonly string[] = [],
    env: NodeJS.ProcessEnv = {},
    exitCode = 1,
  ): Promise<void> => {
    const { status, output } = await project.deploy(args, undefined, env);
    expect(output).toContain(words);
    expect(status).toBe(exitCode);
    // No stack trace.
    expect(output).not.toMatch(/^\s+at /m);
    expect(platform.changes).toEqual([]);
  };

  it(
    "which setting or argument is wrong",
    async () => {
      await expectRefused("CLOUDFLARE_API_TOKEN is not set", [], { CLOUDFLARE_API_TOKEN: "" });
      await expectRefused("Authentication error", [], { CLOUDFLARE_API_TOKEN: "another" });
      await expectRefused("Unknown option '--config'.", ["--config", "sample/wrangler.jsonc"], {}, 2);
      await expectRefused("lower-case letters", ["--env", "Not one"]);
      await expectRefused("no file", ["--secrets-file", "missing.env"]);
      project.configure({ vars: { GATEHOUSE_SIGN_IN: "sample" } });
      await expectRefused("sample only where GATEHOUSE_URL is on localhost");
      project.configure({ vars: { GATEHOUSE_SIGN_IN: "none" } });
      await expectRefused("No sign-in method is set");
      await expectRefused("is a secret", ["--set", "GITHUB_CLIENT_SECRET=x"], {}, 2);
      await expectRefused("is a secret", ["--set", "GATEHOUSE_WEBHOOK_URL=https://hooks.example/x"], {}, 2);
      await expectRefused("It takes NAME=value", ["--set", "GATEHOUSE_SIGN_IN"], {}, 2);
      const variables = { GATEHOUSE_SIGN_IN: "github", GITHUB_CLIENT_ID: "x", GITHUB_ORGANISATIONS: "acme" };
      const options = Object.entries(variables).flatMap(([name, value]) => ["--set", `${name}=${value}`]);
      await expectRefused("GITHUB_CLIENT_SECRET is not set", options);
      expect(project.configuration().vars).toMatchObject(variables);
      project.configure({ vars: { GATEHOUSE_SIGN_IN: "access" } });
      project.edit("src/gatehouse.config.ts", '"CRM_DB"', '"LOST_DB"');
      await expectRefused("has no LOST_DB");
      project.edit("src/gatehouse.config.ts", '"LOST_DB"', '"CRM_DB"');
    },
    4 * MINUTES,
  );

  it(
    "which existing database, domain or Worker of the account is in the way",
    async () => {
      const { account } = platform;
      const existing = account.makeDatabase("gatehouse");
      existing.content.exec("CREATE TABLE of_somebody_else (id)");
      const { output, status } = await project.deploy();
      expect(output).toContain(`"database_id": "${existing.uuid}"`);
      expect(status).toBe(1);
      expect(platform.changes).toEqual([]);
      account.databases.splice(0);

      project.configure({ routes: [{ pattern: "data.acme.example", custom_domain: true }] });
      account.domains.push({ hostname: "data.acme.example", service: "shop" });
      await expectRefused("leads to the Worker shop");
      account.domains.splice(0);
      project.configure({ routes: undefined, vars: { GATEHOUSE_URL: "" } });

      account.putWorker("gatehouse", { main_module: "x", bindings: [] });
      await expectRefused("is not a Gatehouse");
      account.workers.clear();
    },
    2 * MINUTES,
  );
});

describe("an environment and a custom domain", () => {
  it(
    "deploys staging separately from the top level, and refuses a rollback past a migration and a lost token key",
    async () => {
      const archive = { binding: "GATEHOUSE_ARCHIVE", bucket_name: "gatehouse-audit" };
      project.configure({ r2_buckets: [archive] });
      const top = project.configuration();
      const { status, output } = await project.deploy(["--env", "staging"]);
      expect(status, output).toBe(0);
      const { account } = platform;
      expect(account.databases.map(({ name }) => name)).toEqual(["gatehouse-staging", "crm-staging"]);
      expect(account.namespaces.map(({ title }) => title)).toEqual(["gatehouse-staging-handbook"]);
      expect([...account.workers.keys()]).toEqual(["gatehouse-staging"]);
      expect(output).toContain("https://gatehouse-staging.acme.workers.dev/mcp");
      const { env, ...rest } = project.configuration();
      expect(rest).toEqual(top);
      const staging = env?.["staging"];
      expect(staging?.vars["GATEHOUSE_URL"]).toBe("https://gatehouse-staging.acme.workers.dev");
      // The archive of audit records is not shared.
      expect(staging).toMatchObject({ r2_buckets: [] });
      project.configure({ r2_buckets: undefined });

      // The top level may not use staging's database.
      const [stagingDatabase] = staging?.d1_databases ?? [];
      project.configure({ d1_databases: [{ database_id: stagingDatabase?.database_id }] });
      const shared = await project.deploy();
      expect(shared.output).toContain("have the same id");
      expect(platform.changes).toEqual([]);
      project.configure({ d1_databases: [{ database_id: "local-gatehouse" }] });

      // The top level is deployed to a custom domain with a secret of the operator.
      project.configure({ routes: [{ pattern: "data.acme.example", custom_domain: true }] });
      project.write("mine.env", "UPSTREAM_SECRET=of-the-operator\n");
      const first = await project.deploy(["--secrets-file", "mine.env"]);
      expect(first.status, first.output).toBe(0);
      expect(account.domains).toEqual([{ hostname: "data.acme.example", service: "gatehouse" }]);
      expect(account.workerOf("gatehouse").isOnWorkersDev).toBe(false);
      const secrets = account.deployedVersion("gatehouse").secrets;
      expect(secrets.get("UPSTREAM_SECRET")).toBe("of-the-operator");
      expect(secrets.get("GATEHOUSE_TOKEN_KEY")).not.toBe(
        account.deployedVersion("gatehouse-staging").secrets.get("GATEHOUSE_TOKEN_KEY"),
      );
      expect(first.output).not.toContain("of-the-operator");

      // The deployed Worker has a newer Durable Object migration than this code.
      account.workerOf("gatehouse").migrationTag = "v9";
      const back = await project.deploy();
      expect(back.output).toContain("cannot roll back past");
      expect(platform.changes).toEqual([]);
      account.workerOf("gatehouse").migrationTag = "v1";

      // The database has masking tokens, but the Worker with their key is gone.
      const crm = account.databaseOf("crm");
      crm.content.exec("INSERT INTO _gatehouse_masking_token VALUES ('email', 'a@b.example', 'tok_aaaaaaaaaaaaaaaa')");
      account.workers.delete("gatehouse");
      account.domains.splice(0);
      const lost = await project.deploy();
      expect(lost.output).toContain("masking tokens of a key that this Worker does not have");
      expect(account.workers.has("gatehouse")).toBe(false);
    },
    6 * MINUTES,
  );
});

describe("the fake of Cloudflare's API", () => {
  it(
    "refuses bindings to missing databases and migrations out of order, as Cloudflare does",
    async () => {
      const { account } = platform;
      account.workers.clear();
      account.domains.splice(0);
      account.databases.splice(0);
      // The ids in wrangler.jsonc are of databases that this account does not have.
      const { output, status } = await project.wrangler([
        "deploy",
        "--config",
        project.file("wrangler.jsonc"),
        "--env",
        "",
      ]);
      expect(output).toContain("GATEHOUSE_DB of type d1");
      expect(status).toBe(1);
      expect(account.workers.size).toBe(0);
      const migrations = { new_tag: "v2", old_tag: "v1", steps: [] };
      expect(() => account.putWorker("gatehouse", { main_module: "x", bindings: [], migrations })).toThrow(
        "precondition",
      );
      expect((await project.deploy()).output).toContain("which the account does not have");
      expect(platform.changes).toEqual([]);
    },
    MINUTES,
  );
});
