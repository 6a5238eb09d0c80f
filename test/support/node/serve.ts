// Serves a built Worker until SIGTERM: on PORT, and, if it is set, from a second isolate with the same Durable Objects on TWIN_PORT. Runs
// as a process of its own and also reads CONFIG, BUNDLE, STATE and, if it is set, BINDINGS (variables as JSON).
import { WORKER_NAME, freeAddresses, startWorkers, workerOf } from "../../../cli/local-server/local.ts";

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

async function workerOn(port: number): Promise<ReturnType<typeof workerOf>> {
  const addresses = await freeAddresses(port);
  if (addresses === undefined) throw new Error(`port ${port} is taken`);
  const bindings: Record<string, string> = JSON.parse(process.env["BINDINGS"] ?? "{}");
  return workerOf({ configPath: setting("CONFIG"), bundleDir: setting("BUNDLE"), port, addresses, bindings });
}

const first = await workerOn(Number(setting("PORT")));
const twinPort = process.env["TWIN_PORT"];
const twins = twinPort === undefined ? [] : [await workerOn(Number(twinPort))];
const durableObjects = Object.fromEntries(
  Object.entries(first.durableObjects ?? {}).map(([binding, object]) => {
    const { className } = typeof object === "string" ? { className: object } : object;
    return [binding, { className, scriptName: WORKER_NAME, useSQLite: true }];
  }),
);
const miniflare = await startWorkers(setting("STATE"), [
  first,
  ...twins.map((twin) => ({ ...twin, name: "twin", durableObjects })),
]);
process.once("SIGTERM", () => void miniflare.dispose().finally(() => process.exit(0)));
console.log("serving");
