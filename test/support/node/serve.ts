// Runs in a process of its own: serves a built Worker until it is told to end. Reads CONFIG, BUNDLE, PORT and STATE.
import { freeAddresses, startLocal } from "../../../scripts/local.ts";

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

const port = Number(setting("PORT"));
const addresses = await freeAddresses(port);
if (addresses === undefined) throw new Error(`port ${port} is taken`);
const { miniflare, origin } = await startLocal({
  configPath: setting("CONFIG"),
  bundleDir: setting("BUNDLE"),
  port,
  addresses,
  stateDir: setting("STATE"),
});
process.once("SIGTERM", () => void miniflare.dispose().finally(() => process.exit(0)));
console.log(`serving ${origin}`);
