// Loads the operator's policy file for scripts, and compares its bindings with the wrangler configuration.
import path from "node:path";
import { unstable_readConfig } from "wrangler";
import type { Gatehouse } from "../../src/config/define-gatehouse.ts";
import { CliError } from "../kit/cli-error.ts";

/** Loads src/gatehouse.config.ts. Throws `CliError` with the message of `defineGatehouse`. */
export async function loadOwnConfig(): Promise<Gatehouse> {
  try {
    const loaded: { default: Gatehouse } = await import("../../src/gatehouse.config.ts");
    return loaded.default;
  } catch (error) {
    if (error instanceof TypeError && error.message.startsWith("The policy file"))
      throw new CliError(`src/gatehouse.config.ts: ${error.message}`, { cause: error });
    if (error instanceof SyntaxError && error.message.includes(".json:"))
      throw new CliError(`${error.message}. In JSON, every entry except the last ends with a comma.`, {
        cause: error,
      });
    throw error;
  }
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
