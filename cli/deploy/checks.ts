// Checks that stop a deployment before it creates anything. Each error says what to do.
import { CliError } from "../kit/cli-error.ts";
import type { DeployedWorker, Platform } from "../cloudflare-api/platform.ts";
import type { DeploySettings } from "./settings.ts";

/** Bindings that identify a deployed Worker as a Gatehouse. */
const IDENTIFYING_BINDINGS = ["LEDGER", "GATEHOUSE_DB"];

/** Throws `CliError` when the deployed Worker of this name is another deployment or is newer than this code. */
export function requireSuccession(
  { worker, bindings, migrationTags }: DeploySettings,
  deployed: DeployedWorker,
  sourceBindings: readonly string[],
): void {
  if (!IDENTIFYING_BINDINGS.every((required) => deployed.bindings.some(({ name }) => name === required)))
    throw new CliError(`The account's Worker ${worker} is not a Gatehouse. Choose another "name" in wrangler.jsonc.`);
  for (const { binding, id } of bindings) {
    const bound = deployed.bindings.find(({ name }) => name === binding)?.id;
    if (id === undefined || bound === undefined || bound === id || sourceBindings.includes(binding)) continue;
    throw new CliError(
      `The Worker ${worker} is deployed with ${binding} bound to ${bound}; wrangler.jsonc binds it to ${id}. ` +
        `Correct the id, or choose another "name" in the file.`,
    );
  }
  const { migrationTag } = deployed;
  if (migrationTag !== undefined && !migrationTags.includes(migrationTag))
    throw new CliError(
      `The deployed Worker has the Durable Object migration ${migrationTag}, which this version does not have. ` +
        `You cannot roll back past a release that added a class (docs/deploying.md).`,
    );
}

/** Throws `CliError` when two environments would share one of Gatehouse's own stores. */
export function requireOwnStores(
  settings: DeploySettings,
  others: readonly DeploySettings[],
  sourceBindings: readonly string[],
): void {
  for (const { binding, id } of settings.bindings) {
    if (id === undefined || sourceBindings.includes(binding)) continue;
    const sharing = others.find((environment) => environment.bindings.some((bound) => bound.id === id));
    if (sharing === undefined) continue;
    throw new CliError(
      `${binding} of ${settings.worker} and of ${sharing.worker} have the same id in wrangler.jsonc. ` +
        `Each environment needs its own store: remove one of the two ids, and the next deployment creates a new store.`,
    );
  }
}

/** Throws `CliError` when a custom domain belongs to another Worker; without a prompt, wrangler would reassign it silently. */
export async function requireFreeDomains(
  { worker, routes }: DeploySettings,
  platform: Platform,
  account: string,
): Promise<void> {
  for (const { pattern } of routes.filter(({ isCustomDomain }) => isCustomDomain)) {
    const owner = await platform.domainOwner(account, pattern);
    if (owner === undefined || owner === worker) continue;
    throw new CliError(
      `The domain ${pattern} leads to the Worker ${owner}. Remove it from that Worker first, or choose another domain for ${worker}.`,
    );
  }
}
