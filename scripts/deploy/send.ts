// The last step: secrets that the Worker lacks, and the Worker, in one upload; nothing when both are there already.
import type { Gatehouse } from "../../src/config.ts";
import { TOKEN_TABLE } from "../../src/policy/masks.ts";
import { ownTablesOf } from "../migrations.ts";
import type { StoreContext } from "./databases.ts";
import { queryStore } from "./migrate.ts";
import { DeployProblem } from "./problem.ts";
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
import { buildTag, deployTriggers, triggersAgree, uploadWorker } from "./upload.ts";

export interface Sent {
  /** What this run, or one before it that was cut off, gave the Worker. */
  readonly secrets: Secrets;
  /** To be called when they have been shown: removes them from this machine. */
  readonly finish: () => void;
}

/** Brings the Worker up to date. A version never goes out without the secrets that it needs. */
export async function sendWorker(context: StoreContext, config: Gatehouse, given: Secrets): Promise<Sent> {
  const { settings, account, deployed, say } = context;
  const file = secretsFile(account, settings.worker);
  const pending = await collect(context, config, readPending(file), given);
  if (Object.keys(pending).length > 0) keepPending(file, pending);

  const known = deployed?.secrets ?? [];
  // One that the Worker has is never sent again, unless the operator gives it anew.
  const toSend = Object.fromEntries(
    Object.entries(pending).filter(([name]) => Object.hasOwn(given, name) || !known.includes(name)),
  );
  const names = Object.keys(toSend).toSorted();
  const tag = await buildTag(settings);
  const isSame = deployed?.versionTag === tag && deployed.isObserved === settings.isObserved && names.length === 0;
  if (!isSame) {
    await withSecretsFile(file, toSend, (sent) => uploadWorker(settings, tag, sent));
    await requireArrived(context, Object.keys(pending));
    say(`Worker: deployed ${tag}${names.length === 0 ? "" : `, with the secrets ${names.join(", ")}`}.`);
  } else if (triggersAgree(settings, deployed)) {
    say(`Worker: ${tag} is deployed already, unchanged.`);
  } else {
    await deployTriggers(settings);
    say(`Worker: ${tag} is deployed already; its addresses and cron triggers were set again.`);
  }
  return { secrets: pending, finish: () => dropAll(file) };
}

/** All that has to be with the Worker after this: what is on its way, what the operator gives, what is made now. */
async function collect(context: StoreContext, config: Gatehouse, pending: Secrets, given: Secrets): Promise<Secrets> {
  const known = [...(context.deployed?.secrets ?? []), ...Object.keys(pending), ...Object.keys(given)];
  const missing = missingSecrets(config, known);
  if (missing.includes(TOKEN_KEY)) await requireNoTokens(context, config);
  return { ...Object.fromEntries(missing.map((name) => [name, generateSecret(name)])), ...pending, ...given };
}

/** A new key would make other tokens than those that are there. */
async function requireNoTokens(context: StoreContext, config: Gatehouse): Promise<void> {
  for (const { source, binding, tables } of ownTablesOf(config)) {
    if (!tables.includes(TOKEN_TABLE)) continue;
    const rows = await queryStore(context, binding, `SELECT 1 AS found FROM ${TOKEN_TABLE} LIMIT 1`);
    if (rows.length === 0) continue;
    throw new DeployProblem(
      `${source} has tokens of a key that this Worker does not have, and a new key would make others. Give that key: a file with ${TOKEN_KEY}=… and -- --secrets-file <file>. If it is lost, empty ${TOKEN_TABLE} in ${binding}.`,
    );
  }
}

/** What wrangler is given to read. */
function sentFile(file: string): string {
  return `${file}.sent.json`;
}

/** The second, too, where an earlier run was killed while wrangler read it. */
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

async function requireArrived({ platform, account, settings }: StoreContext, names: readonly string[]): Promise<void> {
  const worker = await platform.worker(account, settings.worker);
  const missing = names.filter((name) => worker?.secrets.includes(name) !== true);
  if (missing.length > 0)
    throw new DeployProblem(
      `The Worker is deployed without ${missing.join(", ")}. Run it again; they are kept on this machine.`,
    );
}
