// Lets Node load the WebAssembly modules of the Worker as workerd does: an import gives the compiled module. Node would instantiate it.
import { registerHooks } from "node:module";
import { generateSqliteModule } from "./sqlite-module.ts";

const COMPILE =
  'import { readFileSync } from "node:fs"; export default new WebAssembly.Module(readFileSync(new URL(import.meta.url)));';

/** Registers the hook, and generates what the Worker's modules import; they are imported after it. */
export function loadWasmAsModules(): void {
  generateSqliteModule();
  registerHooks({
    load: (url, context, nextLoad) =>
      url.endsWith(".wasm") ? { format: "module", source: COMPILE, shortCircuit: true } : nextLoad(url, context),
  });
}
