// Loads the operator's policy file for scripts, and compares its bindings with the wrangler configuration.
import path from "node:path";
import { unstable_readConfig } from "wrangler";
import type { Gatehouse } from "../../src/config/define-gatehouse.ts";
import { CliError } from "../kit/cli-error.ts";
import { loadPolicyFile, requireReadable } from "./load-policy.ts";
import { root } from "./tools.ts";

const ownFile = path.join(root, "src/gatehouse.config.ts");

/** Loads src/gatehouse.config.ts. Throws `CliError` with the place of each mistake. */
export async function loadOwnConfig(): Promise<Gatehouse> {
  return loadPolicyFile(ownFile, root);
}

/** Checks src/gatehouse.config.ts before a command writes the module `rewritten`, which it imports. */
export function requireReadablePolicy(rewritten: string): void {
  requireReadable(ownFile, root, rewritten);
}

/** Throws `CliError` when the wrangler configuration lacks a source's binding, or has it as another kind. */
export function requireBindings({ policy }: Gatehouse, configPath: string, environment?: string): void {
  const { d1_databases: databases, kv_namespaces: namespaces } = unstable_readConfig({
    config: configPath,
    ...(environment === undefined ? {} : { env: environment }),
  });
  const file = path.basename(configPath);
  const problems = policy.sources.flatMap(({ name, kind, binding }) => {
    const stores: readonly { readonly binding: string }[] = kind === "d1" ? databases : namespaces;
    const declared = stores.map((store) => store.binding);
    if (declared.includes(binding)) return [];
    const list = kind === "d1" ? "d1_databases" : "kv_namespaces";
    const choice = declared.length === 0 ? "It has none." : `It has: ${declared.join(", ")}.`;
    return [`- sources.${name}.binding: ${file} has no ${binding} under ${list}. ${choice}`];
  });
  if (problems.length > 0)
    throw new CliError(`The policy file needs bindings that are missing:\n${problems.join("\n")}`);
}
