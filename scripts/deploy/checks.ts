// What stops a deployment before anything is made: each in words, with what to do.
import { DeployProblem } from "./problem.ts";
import type { DeployedWorker, Platform } from "./platform.ts";
import type { DeploySettings } from "./settings.ts";

/** A binding that every Gatehouse has, and little else. */
const OWN_BINDINGS = ["LEDGER", "GATEHOUSE_DB"];

/** Throws `DeployProblem` when the Worker of that name is not this deployment, or is ahead of this code. */
export function requireSuccession(
  { worker, bindings, migrationTags }: DeploySettings,
  deployed: DeployedWorker,
  sourceBindings: readonly string[],
): void {
  if (!OWN_BINDINGS.every((own) => deployed.bindings.some(({ name }) => name === own)))
    throw new DeployProblem(
      `The account has a Worker ${worker} that is no Gatehouse. Give this one another "name" in wrangler.jsonc.`,
    );
  for (const { binding, id } of bindings) {
    const bound = deployed.bindings.find(({ name }) => name === binding)?.id;
    if (id === undefined || bound === undefined || bound === id || sourceBindings.includes(binding)) continue;
    throw new DeployProblem(
      `The Worker ${worker} is deployed with ${binding} bound to ${bound}; wrangler.jsonc binds it to ${id}. ` +
        `Correct the file, or give this one another "name".`,
    );
  }
  const { migrationTag } = deployed;
  if (migrationTag !== undefined && !migrationTags.includes(migrationTag))
    throw new DeployProblem(
      `The deployed Worker has object classes of migration ${migrationTag}, which this version does not know: a release that added a class cannot be rolled back past (docs/deploying.md).`,
    );
}

/** Throws `DeployProblem` when an environment would share what Gatehouse keeps for itself with another. */
export function requireOwnStores(
  settings: DeploySettings,
  others: readonly DeploySettings[],
  sourceBindings: readonly string[],
): void {
  for (const { binding, id } of settings.bindings) {
    if (id === undefined || sourceBindings.includes(binding)) continue;
    const other = others.find((one) => one.bindings.some((known) => known.id === id));
    if (other === undefined) continue;
    throw new DeployProblem(
      `${binding} of ${settings.worker} and of ${other.worker} have the same id in wrangler.jsonc. Each environment keeps its own; take the id out of one of them to have another made.`,
    );
  }
}

/** Throws `DeployProblem` when a custom domain leads to another Worker: wrangler, when nobody watches, would take it over. */
export async function requireFreeDomains(
  { worker, routes }: DeploySettings,
  platform: Platform,
  account: string,
): Promise<void> {
  for (const { pattern } of routes.filter(({ isCustomDomain }) => isCustomDomain)) {
    const owner = await platform.domainOwner(account, pattern);
    if (owner === undefined || owner === worker) continue;
    throw new DeployProblem(
      `The domain ${pattern} leads to the Worker ${owner}. Take it from that one first, or give ${worker} another.`,
    );
  }
}
