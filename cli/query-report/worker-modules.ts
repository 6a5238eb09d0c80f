// The modules of the Worker that explain a query.
import { loadWasmAsModules } from "../project/wasm-modules.ts";

/** Loads the modules that explain a query as the Worker runs it. */
export async function loadWorkerModules() {
  loadWasmAsModules();
  const [{ explainQuery }, { createReadTrace }] = await Promise.all([
    import("../../src/gateway/query-explanation.ts"),
    import("../../src/read/read-trace.ts"),
  ]);
  return { explainQuery, createReadTrace };
}
