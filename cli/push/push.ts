// `gatehouse push <source>`: copies the local database of a source to its D1, and compares both. The target keeps the record of the push
// (push-record.ts), so a run goes on where an interrupted one stopped.
import type { Gatehouse } from "../../src/config/define-gatehouse.ts";
import { connect } from "../cloudflare-api/account.ts";
import { ensureStores } from "../deploy/databases.ts";
import { configPath, environmentsBesides, hasEnvironment, readSettings } from "../deploy/settings.ts";
import type { Binding, DeploySettings } from "../deploy/settings.ts";
import { CliError } from "../kit/cli-error.ts";
import type { Output } from "../kit/output.ts";
import { createProgress } from "../kit/progress.ts";
import { localDatabaseFile } from "../local-server/local.ts";
import { loadOwnConfig, requireBindings } from "../project/policy-file.ts";
import { requireStateFolder } from "../project/state-folder.ts";
import { checkLocally } from "./checksum.ts";
import type { CheckedTable } from "./checksum.ts";
import { compareDeclarations } from "./compare-declarations.ts";
import { openSnapshot } from "./local-snapshot.ts";
import type { LocalSnapshot } from "./local-snapshot.ts";
import { planPush } from "./push-plan.ts";
import type { PushPlan } from "./push-plan.ts";
import { PushJournal, readPushRecord } from "./push-record.ts";
import type { PushRecord, Target } from "./push-record.ts";
import { listCleanup, listTargetObjects, requireReferences } from "./replace.ts";
import { runPush } from "./run-push.ts";
import { requireUnshared } from "./shared-database.ts";
import { describeVerified, verifyTables } from "./verify-push.ts";
import type { VerifiedTable } from "./verify-push.ts";

/** How to push. */
export interface PushOptions {
  /** The environment of wrangler.jsonc; undefined for the top level. */
  readonly environment: string | undefined;
  /** The name of the database whose data the operator wants to replace. */
  readonly replace: string | undefined;
  readonly say: (line: string) => void;
}

/** The D1 database that receives the data. */
export interface PushTarget extends Target {
  readonly source: string;
  /** The database's name in the account. */
  readonly name: string;
  readonly bookmark: () => Promise<string>;
}

/** Copies the local database of a source to the account. Throws `CliError`, also when a table differs afterwards. */
export async function push(name: string, { environment, replace, say }: PushOptions): Promise<Output> {
  const config = await loadOwnConfig();
  const source = findSource(config, name);
  if (environment !== undefined && !hasEnvironment(environment))
    throw new CliError(`wrangler.jsonc has no environment ${environment}. The first deployment to it adds it.`);
  requireBindings(config, configPath, environment);
  const settings = readSettings(environment);
  const local = findBinding(settings, source.binding);
  const environments = [settings, ...environmentsBesides(environment)];
  requireUnshared(environments, source.binding, local);
  const snapshot = openSnapshot(localDatabaseFile(requireStateFolder(), local.localId), source.name);
  try {
    const { platform, account } = await connect(settings);
    const deployed = await platform.worker(account.id, settings.worker);
    const only = { ...settings, bindings: [local] };
    const sourceBindings = config.policy.sources.map(({ binding }) => binding);
    await ensureStores({
      platform,
      account: account.id,
      settings: only,
      deployed,
      sourceBindings,
      say,
      fillsStores: true,
    });
    const { id } = findBinding(readSettings(environment), source.binding);
    const database = id === undefined ? undefined : await platform.database(account.id, id);
    if (database === undefined)
      throw new CliError(`The account ${account.name} has no database for ${source.binding}.`);
    requireUnshared(environments, source.binding, { id, name: database.name });
    const target: PushTarget = {
      source: source.name,
      name: database.name,
      run: async (batch) => platform.runBatch(account.id, database.id, batch),
      bookmark: async () => platform.bookmark(account.id, database.id),
      say,
    };
    return await pushSnapshot(snapshot, target, replace);
  } finally {
    snapshot.database.close();
  }
}

function findSource({ policy }: Gatehouse, name: string): { readonly name: string; readonly binding: string } {
  const sources = policy.sources.filter(({ kind }) => kind === "d1");
  const source = sources.find((candidate) => candidate.name === name || candidate.binding === name);
  if (source !== undefined) return source;
  const choice = sources.map((candidate) => candidate.name).join(", ");
  throw new CliError(
    `The policy file has no database ${name}. ${choice === "" ? "It has none." : `It has: ${choice}.`}`,
    {
      hint: "Declare one: npm run introspect -- crm.sqlite",
    },
  );
}

function findBinding({ bindings }: DeploySettings, name: string): Binding {
  const binding = bindings.find((candidate) => candidate.kind === "d1" && candidate.binding === name);
  if (binding === undefined) throw new CliError(`wrangler.jsonc has no database ${name}.`);
  return binding;
}

/** Pushes a snapshot. `replace` names the database if its data may be replaced. */
export async function pushSnapshot(
  snapshot: LocalSnapshot,
  target: PushTarget,
  replace: string | undefined,
): Promise<Output> {
  const { source, say } = target;
  if (replace !== undefined && replace !== target.name)
    throw new CliError(
      `--replace names ${replace}, but ${source} is the database ${target.name}. Nothing was changed.`,
    );
  for (const { name, reason } of snapshot.skipped) say(`Skipped: ${name} ${reason}`);
  const checked = checkAll(snapshot);
  const plan = planPush(snapshot, checked);
  const record = await readPushRecord(target);
  const isComplete = record?.digest === plan.digest && record.step >= plan.steps.length;
  if (isComplete && replace === undefined) {
    const verified = await verifyTables(target, checked);
    const differences = await compareDeclarations(target, snapshot);
    if (differences.length > 0 || !verified.every(({ same }) => same))
      throw differenceError(target, verified, differences);
    return describePush(snapshot, target, record.bookmark, verified, false);
  }
  if (replace !== undefined) await requireReferences(target, source, snapshot.tables);
  const journal = new PushJournal(target, record);
  // A push that was not to replace anything cannot do so when it goes on.
  const isConfirmed = replace === undefined || record?.isReplacing === true;
  const isResumed = record?.digest === plan.digest && !isComplete && isConfirmed;
  await (isResumed ? resume(journal, plan, target, replace) : begin(journal, plan, target, replace));
  await runPush({ source, database: snapshot.database, target, plan, journal });
  const verified = await verifyTables(target, checked);
  if (!verified.every(({ same }) => same)) throw differenceError(target, verified);
  return describePush(snapshot, target, journal.record.bookmark, verified, true);
}

function checkAll({ database, tables }: LocalSnapshot): readonly CheckedTable[] {
  const progress = createProgress({ verb: "Reading", total: tables.reduce((sum, { rows }) => sum + rows, 0) });
  try {
    return tables.map((table) => {
      const checked = checkLocally(database, table);
      progress.add(table.name, table.rows);
      return checked;
    });
  } finally {
    progress.finish();
  }
}

async function resume(
  { record }: PushJournal,
  plan: PushPlan,
  target: PushTarget,
  replace: string | undefined,
): Promise<void> {
  const switchStep = plan.steps.findIndex(({ kind }) => kind === "switch");
  if (record.step <= switchStep && replace === undefined) await requireEmpty(target, record);
  target.say(`Going on with the push that was interrupted at step ${record.step + 1} of ${plan.steps.length}.`);
  sayWayBack(target, record);
}

async function begin(
  journal: PushJournal,
  plan: PushPlan,
  target: PushTarget,
  replace: string | undefined,
): Promise<void> {
  if (replace === undefined) await requireEmpty(target);
  const cleanup = await listCleanup(target);
  const bookmark = await target.bookmark();
  const isReplacing = replace !== undefined;
  sayWayBack(target, { isReplacing, bookmark });
  await journal.begin({ digest: plan.digest, isReplacing, bookmark }, cleanup);
}

async function requireEmpty(target: PushTarget, record?: PushRecord): Promise<void> {
  const names = (await listTargetObjects(target)).map(({ name }) => name);
  if (names.length === 0) return;
  const shown = names.length > 8 ? `${names.slice(0, 8).join(", ")} and ${names.length - 8} more` : names.join(", ");
  const interrupted = record?.isReplacing === true ? " A push that replaces it was interrupted." : "";
  throw new CliError(`The database ${target.name} is not empty: it has ${shown}.${interrupted} Nothing was changed.`, {
    hint: `To replace all of it: npm run gatehouse -- push ${target.source} --replace ${target.name}`,
  });
}

/** Says how to return to the state before the push, and what users see meanwhile. */
function sayWayBack(
  { name, say }: PushTarget,
  { isReplacing, bookmark }: Pick<PushRecord, "isReplacing" | "bookmark">,
): void {
  say(`The state of ${name} before this push has the Time Travel bookmark ${bookmark}. To go back to it:`);
  say(`  npx wrangler d1 time-travel restore ${name} --bookmark=${bookmark}`);
  say(
    isReplacing
      ? "Users read the old data until all rows have arrived, then the new. From then until the indexes are built, queries are slower."
      : "Users see no table until all rows have arrived, then all of them.",
  );
}

function differenceError(
  { source, name }: PushTarget,
  verified: readonly VerifiedTable[],
  differences: readonly string[] = [],
): CliError {
  const tables = verified.filter(({ same }) => !same).map(({ table }) => `${source}.${table}`);
  const verb = tables.length > 1 ? "differ" : "differs";
  const subject = tables.length === 0 ? source : tables.join(", ");
  const declared = differences.length === 0 ? "" : ` ${differences.join("; ")}.`;
  const rows = tables.length === 0 ? [] : describeVerified(source, verified);
  return new CliError([`${subject} ${verb} between this machine and D1:${declared}`, ...rows].join("\n"), {
    hint: `Something else has written to the database. Copy it again: npm run gatehouse -- push ${source} --replace ${name}`,
  });
}

function describePush(
  { tables, indexes, views, skipped }: LocalSnapshot,
  { source, name }: PushTarget,
  bookmark: string,
  verified: readonly VerifiedTable[],
  isSent: boolean,
): Output {
  const rows = tables.reduce((sum, table) => sum + table.rows, 0);
  const sent =
    `${countOf(tables.length, "table")} with ${countOf(rows, "row")}, ` +
    `${countOf(indexes.length, "index", "indexes")} and ${countOf(views.length, "view")}`;
  return {
    lines: [
      ...describeVerified(source, verified),
      "",
      isSent ? `Pushed ${sent} to ${name}.` : `${name} has all of this already; nothing was sent.`,
      "Commit wrangler.jsonc if it has changed. If the Worker is not deployed yet: npm run deploy",
    ],
    data: {
      source,
      database: name,
      sent: isSent,
      bookmark,
      tables: verified,
      indexes: indexes.map((index) => index.name),
      views: views.map((view) => view.name),
      skipped: skipped.map((entry) => ({ name: entry.name, reason: entry.reason })),
    },
  };
}

function countOf(count: number, singular: string, plural = `${singular}s`): string {
  return `${count.toLocaleString("en")} ${count === 1 ? singular : plural}`;
}
