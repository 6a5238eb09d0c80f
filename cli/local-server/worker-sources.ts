// Opens the sources of a policy over this machine's databases, with the Worker's own modules, for commands that decide or explain reads.
import { waitForTurn } from "./waiting-database.ts";
import type { Miniflare } from "miniflare";
import type { Gatehouse } from "../../src/config/define-gatehouse.ts";
import type { SourceDeclaration } from "../../src/policy/model.ts";
import type { openSources } from "../../src/app/open-sources.ts";
import { loadWasmAsModules } from "../project/wasm-modules.ts";

type SourceOptions = Parameters<typeof openSources>[2];
/** What differs between commands. */
type LocalOptions = Pick<SourceOptions, "maxQuerySteps" | "maskingTokenKey" | "log" | "defenceLog" | "trace">;

/** Opens the sources in declared order. */
export async function openWorkerSources(
  { policy, limits }: Gatehouse,
  storage: Miniflare,
  options: LocalOptions,
): Promise<ReturnType<typeof openSources>> {
  loadWasmAsModules();
  const open = async ({ kind, binding }: SourceDeclaration): Promise<readonly [string, object]> => [
    binding,
    kind === "d1" ? await storage.getD1Database(binding) : await storage.getKVNamespace(binding),
  ];
  const modules = await import("../../src/app/open-sources.ts");
  const bindings = Object.fromEntries(await Promise.all(policy.sources.map(open)));
  const database = waitForTurn(await storage.getD1Database("GATEHOUSE_DB"));
  return modules.openSources(policy, bindings, {
    ...options,
    waitUntil: () => undefined,
    index: { ...limits, database, now: Date.now },
  });
}
