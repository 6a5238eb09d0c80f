// The operator's policy file as scripts need it: loaded, and held against the wrangler configuration.
import path from "node:path";
import { unstable_readConfig } from "wrangler";
import type { Gatehouse } from "../src/config.ts";

/** What the operator has to mend in the policy file or beside it; shown without a stack. */
export class PolicyProblem extends Error {}

/** Loads src/gatehouse.config.ts. Throws `PolicyProblem` with what `defineGatehouse` says. */
export async function loadOwnConfig(): Promise<Gatehouse> {
  try {
    const loaded: { default: Gatehouse } = await import("../src/gatehouse.config.ts");
    return loaded.default;
  } catch (error) {
    if (error instanceof TypeError && error.message.startsWith("The policy file"))
      throw new PolicyProblem(`src/gatehouse.config.ts: ${error.message}`, { cause: error });
    if (error instanceof SyntaxError && error.message.includes(".json:"))
      throw new PolicyProblem(`${error.message}. Each entry but the last of an object ends with a comma.`, {
        cause: error,
      });
    throw error;
  }
}

/** Throws `PolicyProblem` when a source names a binding that the wrangler configuration does not have, or of another kind. */
export function requireBindings({ policy }: Gatehouse, configPath: string, environment?: string): void {
  const { d1_databases: databases, kv_namespaces: namespaces } = unstable_readConfig({
    config: configPath,
    ...(environment === undefined ? {} : { env: environment }),
  });
  const file = path.basename(configPath);
  const problems = policy.sources.flatMap(({ name, kind, binding }) => {
    const known = (kind === "d1" ? databases : namespaces).map((one: { readonly binding: string }) => one.binding);
    if (known.includes(binding)) return [];
    const list = kind === "d1" ? "d1_databases" : "kv_namespaces";
    return [
      `- sources.${name}.binding: ${file} has no ${binding} under ${list}. ${known.length === 0 ? "There is none." : `There are: ${known.join(", ")}.`}`,
    ];
  });
  if (problems.length > 0)
    throw new PolicyProblem(`The policy file needs bindings that are not there:\n${problems.join("\n")}`);
}
