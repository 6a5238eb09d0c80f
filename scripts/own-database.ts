// Opens GATEHOUSE_DB for commands, through wrangler, on this machine or in the account that wrangler is logged in to. A change takes
// effect when the deployment propagates it. Asking it to do so needs no permission, as the request only propagates stored changes.
import { existsSync } from "node:fs";
import path from "node:path";
import { unstable_readConfig } from "wrangler";
import * as z from "zod";
import sampleConfig from "../sample/gatehouse.config.ts";
import type { Gatehouse } from "../src/config/define-gatehouse.ts";
import type { SqlStatement } from "../src/members/member-statements.ts";
import { root, runTool } from "./build.ts";
import { notedPort, originOf } from "./local.ts";
import { PolicyProblem, loadOwnConfig } from "./policy-file.ts";
import { withPrivateFiles } from "./private-files.ts";

/** Options of every command that opens GATEHOUSE_DB. */
export const DATABASE_OPTIONS = {
  local: { type: "boolean", default: false },
  remote: { type: "boolean", default: false },
  sample: { type: "boolean", default: false },
  env: { type: "string" },
} as const;

/** Which database to open: the deployment's (`remote`) or the local one. `sample` opens the sample organisation's. */
export interface DatabaseChoice {
  readonly local: boolean;
  readonly remote: boolean;
  readonly sample: boolean;
  /** The environment of the wrangler configuration. */
  readonly env?: string | undefined;
}

/** GATEHOUSE_DB of one deployment. */
export interface OwnDatabase {
  readonly config: Gatehouse;
  /** Runs one statement and returns its rows. */
  run(statement: SqlStatement): Promise<readonly Record<string, unknown>[]>;
  /** Asks the deployment to propagate stored changes. Returns a sentence that says when they take effect. */
  tell(): Promise<string>;
}

const answer = z.array(z.object({ results: z.array(z.record(z.string(), z.unknown())) }));

/** The author recorded for changes by commands: anyone with access to the database. */
export const OPERATOR = "operator";

/** Opens GATEHOUSE_DB. Throws `PolicyProblem` for contradicting options, a missing binding or missing local state. */
export async function openOwnDatabase(choice: DatabaseChoice): Promise<OwnDatabase> {
  const { remote, local, sample, env } = choice;
  if (remote && (local || sample))
    throw new PolicyProblem("Choose one: --remote is the deployment; --local and --sample are on this machine.");
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
    tell: async () => propagateChanges(url, remote),
  };
}

const stateFolder = (): string => path.resolve(root, process.env["GATEHOUSE_STATE"] ?? ".wrangler/state");

/** Whether this machine has local state, which the first `npm start` creates. */
export function hasLocalState(): boolean {
  return existsSync(stateFolder());
}

function stateDir(): string {
  const folder = stateFolder();
  if (!hasLocalState()) throw new PolicyProblem(`There is no local state in ${folder} yet. Run npm start first.`);
  return folder;
}

/** Writes values into the SQL as literals that SQLite reads back exactly, because `wrangler d1 execute` cannot bind values. */
function inlined({ sql, values }: SqlStatement): string {
  return sql.replaceAll(/\?([0-9]+)/g, (_placeholder, number: string) => {
    const value = values[Number(number) - 1];
    if (typeof value === "number" && Number.isSafeInteger(value)) return String(value);
    if (typeof value !== "string" || value.includes("\0"))
      throw new TypeError(`value ${number} cannot be written in SQL`);
    return `'${value.replaceAll("'", "''")}'`;
  });
}

async function propagateChanges(url: string, isRemote: boolean): Promise<string> {
  try {
    const response = await fetch(new URL("/api/upkeep", url), { method: "POST", signal: AbortSignal.timeout(20_000) });
    if (response.status === 204) return "The change takes effect with the next request.";
    return `${url} answered ${response.status}, so the change takes effect within ten minutes.`;
  } catch {
    // The server does not run or is unreachable; the change is stored, and a later run of the upkeep propagates it.
    return isRemote
      ? `${url === "" ? "GATEHOUSE_URL is not set" : `${url} cannot be reached`}, so the change takes effect within ten minutes.`
      : `No server runs at ${url}; the change takes effect when npm start runs again.`;
  }
}
