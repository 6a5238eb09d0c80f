// Opens GATEHOUSE_DB for commands, with the Worker's own store modules: on this machine beside a running server, or in the deployment
// through the platform's API. A change takes effect when the deployment propagates it. Asking it to do so needs no permission, as the
// request only propagates stored changes.
import path from "node:path";
import type { Miniflare } from "miniflare";
import { unstable_readConfig } from "wrangler";
import sampleConfig from "../../sample/gatehouse.config.ts";
import { DatabaseLayoutError, requireDatabaseLayout } from "../../src/app/database-layout-store.ts";
import { openAuditHeadStore } from "../../src/audit/audit-head-store.ts";
import type { AuditHeadStore } from "../../src/audit/audit-head-store.ts";
import { createRefusedRequestsStore } from "../../src/audit/refused-requests-store.ts";
import type { StoredRefusedRequests } from "../../src/audit/refused-requests-store.ts";
import { openOperatorReadStore } from "../../src/audit-reading/operator-read-store.ts";
import type { OperatorReadStore } from "../../src/audit-reading/operator-reads.ts";
import { openAuditRecordStore } from "../../src/audit/audit-record-store.ts";
import type { AuditRecordStore } from "../../src/audit/audit-record-store.ts";
import { openCheckpointStore } from "../../src/audit/checkpoint-store.ts";
import type { CheckpointStore } from "../../src/audit/checkpoint-store.ts";
import { openErasureStore } from "../../src/audit/erasure-store.ts";
import type { ErasureStore } from "../../src/audit/erasure-store.ts";
import type { Gatehouse } from "../../src/config/define-gatehouse.ts";
import { openMemberStore } from "../../src/members/member-store.ts";
import type { MemberStore } from "../../src/members/member-store.ts";
import { openPauseStore } from "../../src/members/pause-store.ts";
import type { PauseStore } from "../../src/members/pause-store.ts";
import { openRemovalStore } from "../../src/members/removal-store.ts";
import type { RemovalStore } from "../../src/members/removal-store.ts";
import { openSetupStore } from "../../src/members/setup-store.ts";
import type { SetupStore } from "../../src/members/setup-store.ts";
import { openPatStore } from "../../src/personal-access-tokens/pat-store.ts";
import type { PatStore } from "../../src/personal-access-tokens/pat-store.ts";
import { openAccountDatabase } from "../cloudflare-api/account.ts";
import { CliError, usageError } from "../kit/cli-error.ts";
import { waitForTurn } from "../local-server/waiting-database.ts";
import { notedPort, openStorage, originOf } from "../local-server/local.ts";
import { loadOwnConfig } from "../project/policy-file.ts";
import { requireStateFolder } from "../project/state-folder.ts";
import { root } from "../project/tools.ts";

/** Which database to open: the deployment's (`remote`) or the local one. `sample` opens the sample organisation's. */
export interface DatabaseChoice {
  readonly local?: boolean;
  readonly remote?: boolean;
  readonly sample?: boolean;
  /** The environment of the wrangler configuration. */
  readonly env?: string | undefined;
}

/** GATEHOUSE_DB of one deployment. */
export interface OwnDatabase {
  readonly config: Gatehouse;
  readonly members: MemberStore;
  readonly removals: RemovalStore;
  readonly pauses: PauseStore;
  readonly pats: PatStore;
  readonly setup: SetupStore;
  readonly auditRecords: AuditRecordStore;
  readonly auditHeads: AuditHeadStore;
  readonly checkpoints: CheckpointStore;
  readonly erasures: ErasureStore;
  readonly refusedRequests: StoredRefusedRequests;
  readonly operatorReads: OperatorReadStore;
  /** Asks the deployment to propagate stored changes. Returns a sentence that says when they take effect. */
  readonly tell: () => Promise<string>;
}

/** Throws `CliError` when the table of a store does not exist: commands also open databases of earlier versions. */
export async function requireReady(store: { isReady(): Promise<boolean> }, what: string): Promise<void> {
  if (await store.isReady()) return;
  throw new CliError(`GATEHOUSE_DB is of a version that cannot ${what}.`, {
    hint: "npm run deploy updates a deployment, and npm start this machine.",
  });
}

/** The author recorded for changes by commands: anyone with access to the database. */
export const OPERATOR = "operator";

/** A configuration that binds GATEHOUSE_DB. */
interface Bound {
  readonly config: Gatehouse;
  readonly configPath: string;
  readonly accountId: string | undefined;
  /** The id in the account, or a placeholder until the first deployment. */
  readonly databaseId: string | undefined;
  readonly url: string;
}

/**
 * Runs `work` with GATEHOUSE_DB, and closes it afterwards. Throws `CliError` for contradicting options, a missing binding, missing local
 * state, or a database of another version.
 */
export async function withOwnDatabase<T>(
  choice: DatabaseChoice,
  work: (database: OwnDatabase) => Promise<T>,
): Promise<T> {
  const { remote = false, local = false, sample = false, env } = choice;
  if (remote && (local || sample))
    throw usageError("Choose one: --remote is the deployment; --local and --sample are on this machine.");
  if (!remote) return withLocalDatabases({ sample, env }, async ({ own }) => work(own));
  const bound = await readBound(remote, sample, env);
  const database = await openAccountDatabase(bound.accountId, requireDeployed(bound));
  return work(await openStores(database, bound.config, async () => propagateChanges(bound.url, true)));
}

/** The databases of this machine. */
export interface LocalDatabases {
  readonly own: OwnDatabase;
  readonly storage: Miniflare;
}

/** Runs `work` with the databases of this machine, and closes them afterwards. Throws `CliError` as `withOwnDatabase`. */
export async function withLocalDatabases<T>(
  { sample = false, env }: Pick<DatabaseChoice, "sample" | "env">,
  work: (databases: LocalDatabases) => Promise<T>,
): Promise<T> {
  const bound = await readBound(false, sample, env);
  const stateDir = requireStateFolder();
  const storage = await openStorage(bound.configPath, stateDir, { environment: env });
  try {
    const database = waitForTurn(await storage.getD1Database("GATEHOUSE_DB"));
    const url = originOf(notedPort(stateDir));
    const own = await openStores(database, bound.config, async () => propagateChanges(url, false));
    return await work({ own, storage });
  } finally {
    await storage.dispose();
  }
}

async function readBound(isRemote: boolean, isSampleWanted: boolean, env: string | undefined): Promise<Bound> {
  const ownConfig = isSampleWanted ? sampleConfig : await loadOwnConfig();
  const isSample = isSampleWanted || (!isRemote && ownConfig.policy.sources.length === 0);
  const configPath = path.join(root, isSample ? "sample/wrangler.jsonc" : "wrangler.jsonc");
  const wrangler = unstable_readConfig({ config: configPath, ...(env === undefined ? {} : { env }) });
  const database = wrangler.d1_databases.find(
    ({ binding }: { readonly binding: string }) => binding === "GATEHOUSE_DB",
  );
  if (database === undefined) throw new CliError(`${path.basename(configPath)} has no database GATEHOUSE_DB.`);
  return {
    config: isSample ? sampleConfig : ownConfig,
    configPath,
    accountId: wrangler.account_id,
    databaseId: database.database_id,
    url: String(wrangler.vars["GATEHOUSE_URL"] ?? ""),
  };
}

function requireDeployed({ databaseId, configPath }: Bound): string {
  if (databaseId !== undefined && !databaseId.startsWith("local-")) return databaseId;
  throw new CliError(`${path.basename(configPath)} has no id for GATEHOUSE_DB yet. npm run deploy writes it.`);
}

async function openStores(database: D1Database, config: Gatehouse, tell: OwnDatabase["tell"]): Promise<OwnDatabase> {
  await requireDatabaseLayout(database).catch((error: unknown) => {
    throw error instanceof DatabaseLayoutError ? new CliError(error.message, { cause: error }) : error;
  });
  return {
    config,
    members: openMemberStore(database),
    removals: openRemovalStore(database),
    pauses: openPauseStore(database),
    pats: openPatStore(database),
    setup: openSetupStore(database),
    auditRecords: openAuditRecordStore(database),
    auditHeads: openAuditHeadStore(database),
    checkpoints: openCheckpointStore(database),
    erasures: openErasureStore(database),
    refusedRequests: createRefusedRequestsStore(database),
    operatorReads: openOperatorReadStore(database),
    tell,
  };
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
