// GATEHOUSE_DB as commands on people reach it: through wrangler, on this machine or in the account that it is logged in to. What
// they write acts when the deployment has been told; asking it to look needs no right, since it only makes act what stands there.
import { existsSync } from "node:fs";
import path from "node:path";
import { unstable_readConfig } from "wrangler";
import * as z from "zod";
import sampleConfig from "../sample/gatehouse.config.ts";
import type { Gatehouse } from "../src/config.ts";
import type { Change } from "../src/storage/member-statements.ts";
import { root, runTool } from "./build.ts";
import { notedPort, originOf } from "./local.ts";
import { PolicyProblem, loadOwnConfig } from "./policy-file.ts";
import { withPrivateFiles } from "./private-files.ts";

/** The options of every command on people. */
export const DATABASE_OPTIONS = {
  local: { type: "boolean", default: false },
  remote: { type: "boolean", default: false },
  sample: { type: "boolean", default: false },
  env: { type: "string" },
} as const;

export interface DatabaseChoice {
  readonly local: boolean;
  readonly remote: boolean;
  readonly sample: boolean;
  /** The environment of the wrangler configuration. */
  readonly env?: string | undefined;
}

export interface OwnDatabase {
  readonly config: Gatehouse;
  /** Runs one statement; its rows. */
  run(statement: Change): Promise<readonly Record<string, unknown>[]>;
  /** Has the deployment look at what was written. What to tell the person of when it acts. */
  tell(): Promise<string>;
}

const answer = z.array(z.object({ results: z.array(z.record(z.string(), z.unknown())) }));

/** Who is named as having changed something: whoever holds the database. */
export const OPERATOR = "operator";

export async function openOwnDatabase(choice: DatabaseChoice): Promise<OwnDatabase> {
  const { remote, local, sample, env } = choice;
  if (remote && (local || sample))
    throw new PolicyProblem("Choose one: --remote is the deployment, --local and --sample are this machine.");
  const ownConfig = sample ? sampleConfig : await loadOwnConfig();
  const isSample = sample || (!remote && ownConfig.policy.sources.length === 0);
  const config = isSample ? sampleConfig : ownConfig;
  const configPath = path.join(root, isSample ? "sample/wrangler.jsonc" : "wrangler.jsonc");
  const wrangler = unstable_readConfig({ config: configPath, ...(env === undefined ? {} : { env }) });
  const database = wrangler.d1_databases.find(
    ({ binding }: { readonly binding: string }) => binding === "GATEHOUSE_DB",
  );
  if (database === undefined) throw new PolicyProblem(`${path.basename(configPath)} has no database GATEHOUSE_DB.`);
  const where = remote ? ["--remote"] : ["--local", "--persist-to", stateDir()];
  const shared = ["--yes", "--json", "--config", configPath, ...where, ...(env === undefined ? [] : ["--env", env])];
  const url = remote ? String(wrangler.vars["GATEHOUSE_URL"] ?? "") : originOf(notedPort(stateDir()));
  return {
    config,
    async run(statement) {
      const name = database.database_name ?? database.binding;
      const args = ["d1", "execute", name, ...shared, "--command", inlined(statement)];
      const output = await withPrivateFiles(async () => runTool("wrangler", args));
      return answer.parse(JSON.parse(output.slice(output.indexOf("[\n")))).flatMap(({ results }) => results);
    },
    tell: async () => tellDeployment(url, remote),
  };
}

const stateFolder = (): string => path.resolve(root, process.env["GATEHOUSE_STATE"] ?? ".wrangler/state");

/** Whether anything was ever served on this machine. */
export function hasLocalState(): boolean {
  return existsSync(stateFolder());
}

function stateDir(): string {
  const folder = stateFolder();
  if (!hasLocalState()) throw new PolicyProblem(`There is no state in ${folder} yet. Run npm start first.`);
  return folder;
}

/** wrangler binds no values: they become literals, which SQLite reads back as exactly what they were. */
function inlined({ sql, values }: Change): string {
  return sql.replaceAll(/\?([0-9]+)/g, (_whole, number: string) => {
    const value = values[Number(number) - 1];
    if (typeof value === "number" && Number.isSafeInteger(value)) return String(value);
    if (typeof value !== "string" || value.includes("\0"))
      throw new TypeError(`value ${number} cannot be written in SQL`);
    return `'${value.replaceAll("'", "''")}'`;
  });
}

async function tellDeployment(url: string, isRemote: boolean): Promise<string> {
  try {
    const response = await fetch(new URL("/api/upkeep", url), { method: "POST", signal: AbortSignal.timeout(20_000) });
    if (response.status === 204) return "It acts from the next request on.";
    return `${url} answered ${response.status}, so it acts within ten minutes.`;
  } catch {
    // Nothing serves there, or it cannot be reached from here; the change stands in the database all the same.
    return isRemote
      ? `${url === "" ? "GATEHOUSE_URL is not set" : `${url} cannot be reached`}, so it acts within ten minutes.`
      : `Nothing is served at ${url} now; it acts when npm start serves again.`;
  }
}
