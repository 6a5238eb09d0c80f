// What `npm run deploy` chooses, and what it refuses in words before anything is made, against the stand-in of the platform's API.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chooseOrigin } from "../../scripts/deploy/address.ts";
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

describe("the address", () => {
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
    ["workers.dev", { isOnWorkersDev: true }, "https://gatehouse.acme.workers.dev"],
    ["a custom domain", { routes: [domain] }, "https://data.acme.example"],
    ["a domain before workers.dev", { routes: [domain], isOnWorkersDev: true }, "https://data.acme.example"],
    ["a route that takes a whole host", { routes: [route("mcp.acme.example/*")] }, "https://mcp.acme.example"],
    [
      "what is set and served",
      { routes: [domain], variables: url("https://data.acme.example/") },
      "https://data.acme.example",
    ],
    [
      "what is set below a wildcard",
      { routes: [route("*.acme.example/*")], variables: url("https://mcp.acme.example") },
      "https://mcp.acme.example",
    ],
  ])("is %s", (_name, change, origin) => {
    expect(chooseOrigin({ ...base, ...change }, "acme")).toBe(origin);
  });

  it.each([
    [
      "another than is served",
      { routes: [domain], variables: url("https://gatehouse.acme.workers.dev") },
      "serves data.acme.example",
    ],
    [
      "one that ends like a wildcard only",
      { routes: [route("*.acme.example/*")], variables: url("https://acme.example") },
      "serves no address",
    ],
    [
      "one under a path alone",
      { routes: [route("acme.example/mcp*")], variables: url("https://acme.example") },
      "serves no address",
    ],
    ["http", { isOnWorkersDev: true, variables: url("http://gatehouse.acme.workers.dev") }, "https origin"],
    ["none", {}, "no routes"],
    ["only a part of a host", { routes: [route("acme.example/data/*")] }, "Set GATEHOUSE_URL"],
  ])("is refused: %s", (_name, change, words) => {
    expect(() => chooseOrigin({ ...base, ...change }, "acme")).toThrow(words);
  });

  it("is refused without a workers.dev subdomain", () => {
    expect(() => chooseOrigin({ ...base, isOnWorkersDev: true }, undefined)).toThrow("no workers.dev subdomain");
  });
});

describe("refused in words, and nothing made", () => {
  const expectRefused = async (
    words: string,
    args: readonly string[] = [],
    env: NodeJS.ProcessEnv = {},
  ): Promise<void> => {
    const { status, output } = await project.deploy(args, undefined, env);
    expect(output).toContain(words);
    expect(status).toBe(1);
    // Told without a stack.
    expect(output).not.toMatch(/^\s+at /m);
    expect(platform.changes).toEqual([]);
  };

  it(
    "settings",
    async () => {
      await expectRefused("CLOUDFLARE_API_TOKEN is not set", [], { CLOUDFLARE_API_TOKEN: "" });
      await expectRefused("Authentication error", [], { CLOUDFLARE_API_TOKEN: "another" });
      await expectRefused("takes -- --env", ["--config", "sample/wrangler.jsonc"]);
      await expectRefused("small letters", ["--env", "Not one"]);
      await expectRefused("no file", ["--secrets-file", "missing.env"]);
      project.configure({ vars: { GATEHOUSE_SIGN_IN: "sample" } });
      await expectRefused("sample only where GATEHOUSE_URL is on localhost");
      project.configure({ vars: { GATEHOUSE_SIGN_IN: "none" } });
      await expectRefused("No sign-in method is chosen");
      project.configure({ vars: { GATEHOUSE_SIGN_IN: "github", GITHUB_CLIENT_ID: "x", GITHUB_ORGANISATIONS: "acme" } });
      await expectRefused("GITHUB_CLIENT_SECRET is not set");
      project.configure({ vars: { GATEHOUSE_SIGN_IN: "access" } });
      project.edit("src/gatehouse.config.ts", '"CRM_DB"', '"LOST_DB"');
      await expectRefused("has no LOST_DB");
      project.edit("src/gatehouse.config.ts", '"LOST_DB"', '"CRM_DB"');
    },
    4 * MINUTES,
  );

  it(
    "what the account has already",
    async () => {
      const { account } = platform;
      const mine = account.makeDatabase("gatehouse");
      mine.content.exec("CREATE TABLE of_somebody_else (id)");
      const { output, status } = await project.deploy();
      expect(output).toContain(`"database_id": "${mine.uuid}"`);
      expect(status).toBe(1);
      expect(platform.changes).toEqual([]);
      account.databases.splice(0);

      project.configure({ routes: [{ pattern: "data.acme.example", custom_domain: true }] });
      account.domains.push({ hostname: "data.acme.example", service: "shop" });
      await expectRefused("leads to the Worker shop");
      account.domains.splice(0);
      project.configure({ routes: undefined, vars: { GATEHOUSE_URL: "" } });

      account.putWorker("gatehouse", { main_module: "x", bindings: [] });
      await expectRefused("that is no Gatehouse");
      account.workers.clear();
    },
    2 * MINUTES,
  );
});

describe("staging, and a domain of one's own", () => {
  it(
    "is a deployment of its own, and an older version does not follow a newer one",
    async () => {
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

      // Its own stays its own.
      const [own] = staging?.d1_databases ?? [];
      project.configure({ d1_databases: [{ database_id: own?.database_id }] });
      const shared = await project.deploy();
      expect(shared.output).toContain("have the same id");
      expect(platform.changes).toEqual([]);
      project.configure({ d1_databases: [{ database_id: "local-gatehouse" }] });

      // The top, on a domain, with a secret of the operator's.
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

      // Rolled back past a migration of object classes.
      account.workerOf("gatehouse").migrationTag = "v9";
      const back = await project.deploy();
      expect(back.output).toContain("cannot be rolled back past");
      expect(platform.changes).toEqual([]);
      account.workerOf("gatehouse").migrationTag = "v1";

      // Tokens are there, and the key is not.
      const crm = account.databaseOf("crm");
      crm.content.exec("INSERT INTO _gatehouse_token VALUES ('email', 'a@b.example', 'tok_aaaaaaaaaaaaaaaa')");
      account.workers.delete("gatehouse");
      account.domains.splice(0);
      const lost = await project.deploy();
      expect(lost.output).toContain("tokens of a key that this Worker does not have");
      expect(account.workers.has("gatehouse")).toBe(false);
    },
    6 * MINUTES,
  );
});

describe("the stand-in", () => {
  it(
    "refuses what the platform would: databases that are not there, migrations that do not follow",
    async () => {
      const { account } = platform;
      account.workers.clear();
      account.domains.splice(0);
      account.databases.splice(0);
      // Ids as of another account.
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
