// Loads modules of the Worker that import WebAssembly, in Node. The Worker's bundler gives such an import as a compiled module, and Node
// would instantiate it.
import { registerHooks } from "node:module";

const COMPILE =
  'import { readFileSync } from "node:fs"; export default new WebAssembly.Module(readFileSync(new URL(import.meta.url)));';

/** Loads the modules that explain a query as the Worker runs it. */
export async function loadWorkerModules() {
  registerHooks({
    load: (url, context, nextLoad) =>
      url.endsWith(".wasm") ? { format: "module", source: COMPILE, shortCircuit: true } : nextLoad(url, context),
  });
  const [{ openSources }, { explainQuery }, { createReadTrace }] = await Promise.all([
    import("../../src/app/open-sources.ts"),
    import("../../src/gateway/query-explanation.ts"),
    import("../../src/read/read-trace.ts"),
  ]);
  return { openSources, explainQuery, createReadTrace };
}
