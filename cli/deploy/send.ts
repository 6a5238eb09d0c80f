// The last step of a deployment: uploads the Worker and the secrets that it lacks together, or nothing when both are up to date.
import type { Gatehouse } from "../../src/config/define-gatehouse.ts";
import { MASKING_TOKEN_TABLE } from "../../src/policy/masks.ts";
import { CliError } from "../kit/cli-error.ts";
import { ownTablesOf } from "../local-server/migrations.ts";
import type { StoreContext } from "./databases.ts";
import { queryStore } from "./migrate.ts";
import {
  TOKEN_KEY,
  dropPending,
  generateSecret,
  keepPending,
  missingSecrets,
  readPending,
  secretsFile,
} from "./secrets.ts";
import type { Secrets } from "./secrets.ts";
import { buildTagged, deployTriggers, triggersAgree, uploadWorker } from "./upload.ts";

export interface Sent {
  /** The secrets that this run, or an interrupted run before it, gave the Worker. */
  readonly secrets: Secrets;
  /** Removes the secrets from this machine. Call it once the setup code has been printed. */
  readonly finish: () => void;
}

/** Brings the Worker up to date. It never deploys a version without the secrets that the version needs. */
export async function sendWorker(context: StoreContext, config: Gatehouse, given: Secrets): Promise<Sent> {
  const { settings, account, deployed, say } = context;
  const file = secretsFile(account, settings.worker);
  const pending = await collectSecrets(context, config, readPending(file), given);
  if (Object.keys(pending).length > 0) keepPending(file, pending);

  const deployedSecrets = deployed?.secrets ?? [];
  // A secret that the Worker has is sent again only when the operator gives a new value.
  const toSend = Object.fromEntries(
    Object.entries(pending).filter(([name]) => Object.hasOwn(given, name) || !deployedSecrets.includes(name)),
  );
  const names = Object.keys(toSend).toSorted();
  const { tag } = await buildTagged(settings);
  const isSame = deployed?.versionTag === tag && deployed.isObserved === settings.isObserved && names.length === 0;
  if (!isSame) {
    await withSecretsFile(file, toSend, (sent) => uploadWorker(settings, tag, sent));
    await requireArrived(context, Object.keys(pending));
    say(`Worker: deployed ${tag}${names.length === 0 ? "" : `, with the secrets ${names.join(", ")}`}.`);
  } else if (triggersAgree(settings, deployed)) {
    say(`Worker: ${tag} is already deployed, unchanged.`);
  } else {
    await deployTriggers(settings);
    say(`Worker: ${tag} is already deployed; updated its addresses and cron triggers.`);
  }
  return { secrets: pending, finish: () => dropAll(file) };
}

/** Merges every secret the Worker must have: new ones, pending ones from an interrupted run, and the operator's, which win. */
async function collectSecrets(
  context: StoreContext,
  config: Gatehouse,
  pending: Secrets,
  given: Secrets,
): Promise<Secrets> {
  const present = [...(context.deployed?.secrets ?? []), ...Object.keys(pending), ...Object.keys(given)];
  const missing = missingSecrets(config, present);
  if (missing.includes(TOKEN_KEY)) await requireNoMaskingTokens(context, config);
  return { ...Object.fromEntries(missing.map((name) => [name, generateSecret(name)])), ...pending, ...given };
}

/** Throws `CliError` when masking tokens exist whose key is lost: a new key would give the same values other tokens. */
async function requireNoMaskingTokens(context: StoreContext, config: Gatehouse): Promise<void> {
  for (const { source, binding, tables } of ownTablesOf(config)) {
    if (!tables.includes(MASKING_TOKEN_TABLE)) continue;
    const rows = await queryStore(context, binding, `SELECT 1 AS found FROM ${MASKING_TOKEN_TABLE} LIMIT 1`);
    if (rows.length === 0) continue;
    throw new CliError(
      `${source} has masking tokens of a key that this Worker does not have, and a new key would produce different ones. ` +
        `Pass the old key: write ${TOKEN_KEY}=… to a file and run npm run deploy -- --secrets-file <file>. ` +
        `If the key is lost, empty ${MASKING_TOKEN_TABLE} in ${binding}.`,
    );
  }
}

/** The file that wrangler reads. */
function sentFile(file: string): string {
  return `${file}.sent.json`;
}

/** Also drops wrangler's copy, which an earlier run may have left if it was killed while wrangler read it. */
function dropAll(file: string): void {
  dropPending(sentFile(file));
  dropPending(file);
}

async function withSecretsFile(
  file: string,
  secrets: Secrets,
  run: (sent: string | undefined) => Promise<void>,
): Promise<void> {
  if (Object.keys(secrets).length === 0) return run(undefined);
  const sent = sentFile(file);
  keepPending(sent, secrets);
  try {
    await run(sent);
  } finally {
    dropPending(sent);
  }
}

/** Throws `CliError` when the deployed Worker lacks a secret that was sent: the pending file must not be dropped then. */
async function requireArrived({ platform, account, settings }: StoreContext, names: readonly string[]): Promise<void> {
  const worker = await platform.worker(account, settings.worker);
  const missing = names.filter((name) => worker?.secrets.includes(name) !== true);
  if (missing.length > 0)
    throw new CliError(
      `The Worker is deployed without ${missing.join(", ")}. This machine still has them: run the deployment again.`,
    );
}
