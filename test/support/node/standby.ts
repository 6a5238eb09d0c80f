// Loads what serving needs and waits for SIGUSR2; then it serves a built Worker until SIGTERM. A test that kills the server has the next
// one wait like this, so that a restart does not begin with loading modules. Reads CONFIG, BUNDLE, STATE, PORT and BINDINGS (as JSON).
import { once } from "node:events";
import { freeAddresses, startLocal } from "../../../cli/local-server/local.ts";

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

const started = once(process, "SIGUSR2");
// A process with nothing to wait for but a signal would end.
const waiting = setInterval(() => {}, 60_000);
console.log("loaded");
await started;
clearInterval(waiting);
const port = Number(setting("PORT"));
const bindings: Readonly<Record<string, string>> = JSON.parse(setting("BINDINGS"));
const addresses = await freeAddresses(port);
if (addresses === undefined) throw new Error(`port ${port} is taken`);
const { miniflare } = await startLocal({
  configPath: setting("CONFIG"),
  bundleDir: setting("BUNDLE"),
  stateDir: setting("STATE"),
  port,
  addresses,
  // What `npm start` passes on: locks of queries from before this time are those of a process that is dead.
  bindings: { ...bindings, GATEHOUSE_SUPERVISOR: JSON.stringify({ startedMs: Date.now(), refused: [] }) },
  watcher: {
    onLog: (line) => console.log(line),
    onCrash: () => console.log("the runtime has ended by itself"),
  },
});
process.once("SIGTERM", () => void miniflare.dispose().finally(() => process.exit(0)));
console.log("serving");
