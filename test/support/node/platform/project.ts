// A copy of this repository with a policy file and a configuration, which tests deploy to the fake of Cloudflare's API.
import { spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { experimental_patchConfig, experimental_readRawConfig } from "wrangler";
import * as z from "zod";
import { ACCOUNT } from "./account.ts";
import { TOKEN } from "./server.ts";
import type { Fault, StandIn } from "./server.ts";

const ROOT = path.resolve(import.meta.dirname, "../../../..");
const COPIED = [
  "src",
  "cli",
  "migrations",
  "sample",
  "examples",
  "test",
  "package.json",
  "tsconfig.json",
  "worker-configuration.d.ts",
  "wrangler.jsonc",
  ".prettierrc.json",
];

/** Sign-in settings that a deployment accepts and that need no secret. */
const SIGN_IN = {
  GATEHOUSE_SIGN_IN: "access",
  ACCESS_TEAM_URL: "https://acme.cloudflareaccess.com",
  ACCESS_AUD: "0".repeat(64),
};

/** A policy with a masking token column, so that the deployment needs the token key and the masking token table. */
const POLICY = `import { defineGatehouse, mask } from "./config/define-gatehouse.ts";

export default defineGatehouse({
  organisation: { name: "Acme", contact: "it@acme.example" },
  sources: {
    crm: {
      kind: "d1",
      binding: "CRM_DB",
      title: "CRM",
      description: "Customers",
      tables: {
        customers: {
          description: "One row per customer",
          key: "id",
          columns: {
            id: { type: "integer", description: "Number" },
            email: { type: "text", description: "Address" },
          },
        },
      },
    },
    handbook: { kind: "kv", binding: "HANDBOOK", title: "Handbook", description: "How things are done" },
  },
  roles: {
    sales: {
      description: "Sees customers",
      rules: [{ action: "read", datasets: ["crm.customers"], masks: { email: mask.token("email") } }],
    },
  },
  members: [],
});
`;

const partSchema = z.looseObject({
  vars: z.record(z.string(), z.string()),
  d1_databases: z.array(z.looseObject({ binding: z.string(), database_id: z.string() })),
  kv_namespaces: z.array(z.looseObject({ binding: z.string() })),
});
const configurationSchema = partSchema.extend({ env: z.record(z.string(), partSchema).optional() });
export type Configuration = z.output<typeof configurationSchema>;

export interface Run {
  readonly status: number | null;
  readonly output: string;
}

export type Project = ReturnType<typeof createProject>;

/** Creates a project that can be deployed as it is. `change` is merged into wrangler.jsonc. */
export function createProject(platform: StandIn, change: object = {}) {
  const folder = mkdtempSync(path.join(tmpdir(), "gatehouse-clone-"));
  for (const name of COPIED) cpSync(path.join(ROOT, name), path.join(folder, name), { recursive: true });
  symlinkSync(path.join(ROOT, "node_modules"), path.join(folder, "node_modules"));
  const file = (name: string): string => path.join(folder, name);
  const configPath = file("wrangler.jsonc");
  writeFileSync(file("src/gatehouse.config.ts"), POLICY);
  experimental_patchConfig(configPath, {
    d1_databases: [{ binding: "CRM_DB", database_name: "crm", database_id: "local-crm" }],
    kv_namespaces: [{ binding: "HANDBOOK" }],
  });
  experimental_patchConfig(configPath, { vars: SIGN_IN, ...change }, false);

  const run = (program: readonly string[], fault?: Omit<Fault, "onCut">, env: NodeJS.ProcessEnv = {}): Promise<Run> => {
    const child = spawn(process.execPath, program, {
      cwd: folder,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        CLOUDFLARE_API_BASE_URL: platform.url,
        CLOUDFLARE_API_TOKEN: TOKEN,
        CI: "true",
        INIT_CWD: folder,
        ...env,
      },
    });
    platform.forget();
    const kill = (): void => void (child.pid === undefined || process.kill(-child.pid, "SIGKILL"));
    platform.fail(fault === undefined ? undefined : { ...fault, onCut: kill });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => void (output += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => void (output += chunk.toString()));
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (status) => resolve({ status, output }));
    });
  };

  return {
    file,
    /** Runs `npm run deploy -- …`. A fault of kind `cut` kills the command and its child processes. */
    deploy: (args: readonly string[] = [], fault?: Omit<Fault, "onCut">, env?: NodeJS.ProcessEnv): Promise<Run> =>
      run(["cli/main.ts", "deploy", ...args], fault, env),
    /** Runs a command of the command line. */
    command: (args: readonly string[], env?: NodeJS.ProcessEnv, fault?: Omit<Fault, "onCut">): Promise<Run> =>
      run(["cli/main.ts", ...args], fault, env),
    wrangler: (args: readonly string[]): Promise<Run> =>
      run([file("node_modules/.bin/wrangler"), ...args], undefined, { CLOUDFLARE_ACCOUNT_ID: ACCOUNT }),
    configure: (more: object): void => void experimental_patchConfig(configPath, more, false),
    configuration: (): Configuration =>
      configurationSchema.parse(experimental_readRawConfig({ config: configPath }).rawConfig),
    write: (name: string, text: string): void => writeFileSync(file(name), text),
    edit: (name: string, from: string, to: string): void => {
      const text = readFileSync(file(name), "utf8");
      if (!text.includes(from)) throw new Error(`${name} has no ${from}`);
      writeFileSync(file(name), text.replace(from, to));
    },
    /** The content of the file of pending secrets, if it exists. */
    pending: (worker: string): string | undefined => {
      const at = file(`.wrangler/gatehouse/${ACCOUNT}/${worker}.secrets.json`);
      return existsSync(at) ? readFileSync(at, "utf8") : undefined;
    },
    migrations: (): readonly string[] => readdirSync(file("migrations")).filter((name) => name.endsWith(".sql")),
    /** The names of all files of pending secrets. */
    secretFiles: (): readonly string[] => readdirSync(file(`.wrangler/gatehouse/${ACCOUNT}`)),
    remove: (): void => rmSync(folder, { recursive: true, force: true }),
  };
}
