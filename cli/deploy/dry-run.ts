// `npm run deploy -- --dry-run`: builds the Worker and says what a deployment would create or change. It only reads from the account, and
// without an API token it does not ask it.
import path from "node:path";
import { listSignInWarnings } from "../../src/sign-in/sign-in-warnings.ts";
import type { Gatehouse } from "../../src/config/define-gatehouse.ts";
import { connect, hasApiToken } from "../cloudflare-api/account.ts";
import type { DeployedWorker } from "../cloudflare-api/platform.ts";
import { CliError } from "../kit/cli-error.ts";
import { print, printLines } from "../kit/terminal.ts";
import { ownTablesOf } from "../local-server/migrations.ts";
import { configuredSignIn, requireServable } from "../local-server/sign-in.ts";
import { warningsOf } from "../policy-report/check.ts";
import {
  describePersonalColumn,
  listPersonalColumns,
  readPersonalGuesses,
  sampleLocalData,
} from "../policy-report/personal-columns.ts";
import { loadOwnConfig, requireBindings } from "../project/policy-file.ts";
import { root } from "../project/tools.ts";
import { chooseOrigin } from "./address.ts";
import { requireFreeDomains, requireOwnStores, requireSuccession } from "./checks.ts";
import { locateStore, requireStore } from "./databases.ts";
import type { StoreContext } from "./databases.ts";
import { checkTypes, readSecretsFile } from "./deploy.ts";
import type { DeployOptions } from "./deploy.ts";
import { isUpToDate, listPendingMigrations } from "./migrate.ts";
import { missingSecrets, readPending, secretsFile as pendingSecretsFile } from "./secrets.ts";
import type { Secrets } from "./secrets.ts";
import { configPath, environmentsBesides, hasEnvironment, readSettings } from "./settings.ts";
import type { Binding, DeploySettings } from "./settings.ts";
import { buildTagged, triggersAgree } from "./upload.ts";

interface DryRunOptions extends DeployOptions {
  /** Where to keep the built Worker, relative to the folder that npm was called in. */
  readonly outDir: string | undefined;
}

/** Prints what a deployment would do. Throws `CliError` for what would stop it. */
export async function dryRun({ environment, secretsFile, outDir }: DryRunOptions): Promise<void> {
  const config = await loadOwnConfig();
  if (environment !== undefined && !hasEnvironment(environment))
    throw new CliError(
      `wrangler.jsonc has no environment ${environment}. The first deployment to an environment adds it.`,
    );
  requireBindings(config, configPath, environment);
  const settings = readSettings(environment);
  const given = readSecretsFile(secretsFile);
  requireServable(settings.variables);
  await checkTypes();
  const keptIn = outDir === undefined ? undefined : path.resolve(process.env["INIT_CWD"] ?? process.cwd(), outDir);
  const { tag, output } = await buildTagged(settings, keptIn);
  print(output);
  printLines((await listWarnings(config, settings)).map((warning) => `warning: ${warning}`));
  if (!hasApiToken()) {
    printLines([...listByFiles(config, settings, given, tag), ASK_FOR_TOKEN]);
    return;
  }
  const changes = await listChanges(config, settings, given, tag);
  printLines([...changes, "Nothing was changed: npm run deploy does this."]);
}

async function listWarnings(config: Gatehouse, settings: DeploySettings): Promise<readonly string[]> {
  const { policy } = config;
  const isOpen = ["", "none"].includes(settings.variables["GATEHOUSE_SIGN_IN"] ?? "");
  const open =
    "GATEHOUSE_SIGN_IN is none, so users could not sign in, and a deployment is refused (docs/identity-providers.md).";
  const samples = await sampleLocalData(policy, configPath, settings.environment);
  return [
    ...(isOpen ? [open] : []),
    ...listSignInWarnings(configuredSignIn(configPath, settings.environment), policy.groups),
    ...warningsOf(policy),
    ...listPersonalColumns(policy, samples, readPersonalGuesses(root)).map(describePersonalColumn),
  ];
}

const ASK_FOR_TOKEN =
  "The account was not asked what it has of this, and nothing was changed. " +
  "Set CLOUDFLARE_API_TOKEN to an API token, and run this again for what would be created, kept and migrated (docs/deploying.md).";

/** Lists what a deployment needs, by the files alone: whether the account has it already is unknown. */
function listByFiles(config: Gatehouse, settings: DeploySettings, given: Secrets, tag: string): readonly string[] {
  const { worker, bindings, migrationTags, crons } = settings;
  const url = settings.variables["GATEHOUSE_URL"] ?? "";
  const stores = bindings.map(({ binding, kind, name, id }) => {
    const store = `${binding}: the ${nameKind(kind)} ${id ?? name}`;
    return id === undefined ? `- ${store}, created unless the account has it` : `- ${store}, which must exist`;
  });
  return [
    `A deployment of ${worker}${url === "" ? "" : `, at ${url},`} needs, by its files:`,
    ...stores,
    ...ownTablesOf(config).map(({ binding, tables }) => `- Gatehouse's tables in ${binding}: ${tables.join(", ")}`),
    `- the Worker ${worker} (${tag}), with the Durable Object migrations up to ${migrationTags.at(-1) ?? "none"}`,
    `- cron triggers: ${crons.join(", ") || "none"}`,
    ...missingSecrets(config, Object.keys(given)).map((name) => `- the secret ${name}, generated unless it is set`),
    ...Object.keys(given).map((name) => `- the secret ${name}, from the given file`),
  ];
}

function nameKind(kind: Binding["kind"]): string {
  return kind === "d1" ? "D1 database" : "KV namespace";
}

async function listChanges(
  config: Gatehouse,
  settings: DeploySettings,
  given: Secrets,
  tag: string,
): Promise<readonly string[]> {
  const sourceBindings = config.policy.sources.map(({ binding }) => binding);
  requireOwnStores(settings, environmentsBesides(settings.environment), sourceBindings);
  const { platform, account } = await connect(settings);
  const deployed = await platform.worker(account.id, settings.worker);
  if (deployed !== undefined) requireSuccession(settings, deployed, sourceBindings);
  await requireFreeDomains(settings, platform, account.id);
  const subdomain = settings.isOnWorkersDev ? await platform.subdomain(account.id) : undefined;
  const origin = chooseOrigin(settings, subdomain);
  const context: StoreContext = { platform, account: account.id, settings, deployed, sourceBindings, say: print };
  const stores = [];
  for (const store of settings.bindings) stores.push(await planStore(context, store));
  // From here on a store is asked by the id that it would have.
  const located = { ...context, settings: { ...settings, bindings: stores.map(({ store }) => store) } };
  const known = [
    ...(deployed?.secrets ?? []),
    ...Object.keys(readPending(pendingSecretsFile(account.id, settings.worker))),
  ];
  return [
    `A deployment of ${settings.worker} to the account ${account.name}, at ${origin}, would:`,
    ...(settings.variables["GATEHOUSE_URL"] === origin ? [] : [`- write GATEHOUSE_URL ${origin} to wrangler.jsonc`]),
    ...stores.map(({ line }) => line),
    ...(await planMigrations(located, config)),
    ...planWorker(settings, deployed, tag),
    ...planSecrets(config, known, given),
  ];
}

interface PlannedStore {
  readonly store: Binding;
  readonly line: string;
}

async function planStore(context: StoreContext, store: Binding): Promise<PlannedStore> {
  const { binding, kind, name, id } = store;
  const word = nameKind(kind);
  if (id !== undefined) {
    await requireStore(context, store, id);
    return { store, line: `- keep ${binding}: the ${word} ${id}` };
  }
  const located = await locateStore(context, store);
  if (located.kind === "missing") {
    const isSource = context.sourceBindings.includes(binding);
    const hint = isSource && kind === "d1" ? `, which is empty until npm run gatehouse -- push ${binding}` : "";
    return { store, line: `- create the ${word} ${name} for ${binding}${hint}` };
  }
  return {
    store: { ...store, id: located.id },
    line: `- use the ${word} ${located.id} for ${binding}, and write its id`,
  };
}

async function planMigrations(context: StoreContext, config: Gatehouse): Promise<readonly string[]> {
  const { settings, sourceBindings } = context;
  const lines: string[] = [];
  for (const store of settings.bindings) {
    if (store.kind !== "d1" || sourceBindings.includes(store.binding)) continue;
    const pending = await listPendingMigrations(context, store);
    lines.push(
      pending.length === 0
        ? `- keep the tables of ${store.binding}`
        : `- migrate ${store.binding}: ${pending.join(", ")}`,
    );
  }
  for (const ownTables of ownTablesOf(config)) {
    const { binding, tables } = ownTables;
    const exists = settings.bindings.some((store) => store.binding === binding && store.id !== undefined);
    if (!exists || !(await isUpToDate(context, ownTables)))
      lines.push(`- create Gatehouse's tables in ${binding}: ${tables.join(", ")}`);
  }
  return lines;
}

function planWorker(settings: DeploySettings, deployed: DeployedWorker | undefined, tag: string): readonly string[] {
  const { worker, migrationTags, crons } = settings;
  const applied = deployed?.migrationTag === undefined ? -1 : migrationTags.indexOf(deployed.migrationTag);
  const pending = migrationTags.slice(applied + 1);
  const migrations = pending.length === 0 ? [] : [`- migrate Durable Objects: ${pending.join(", ")}`];
  if (deployed === undefined)
    return [
      `- create the Worker ${worker} (${tag})`,
      ...migrations,
      `- set cron triggers: ${crons.join(", ") || "none"}`,
    ];
  const isSame = deployed.versionTag === tag && deployed.isObserved === settings.isObserved;
  return [
    isSame
      ? `- keep the Worker ${worker} (${tag})`
      : `- replace the Worker ${worker} (${deployed.versionTag ?? "of an unknown version"}) by ${tag}`,
    ...migrations,
    ...(triggersAgree(settings, deployed) ? [] : ["- update the Worker's addresses and cron triggers"]),
  ];
}

function planSecrets(config: Gatehouse, known: readonly string[], given: Secrets): readonly string[] {
  const generated = missingSecrets(config, [...known, ...Object.keys(given)]);
  return [
    ...generated.map((name) => `- generate the secret ${name}`),
    ...Object.keys(given).map((name) => `- ${known.includes(name) ? "replace" : "set"} the secret ${name}`),
  ];
}
