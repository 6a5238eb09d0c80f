// Runs in a process of its own: serves a built Worker until it is told to end. Reads CONFIG, BUNDLE, PORT and STATE.
import { startLocal } from "../../../scripts/local.ts";

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

const { miniflare, origin } = await startLocal({
  configPath: setting("CONFIG"),
  bundleDir: setting("BUNDLE"),
  port: Number(setting("PORT")),
  stateDir: setting("STATE"),
});
process.once("SIGTERM", () => void miniflare.dispose().finally(() => process.exit(0)));
console.log(`serving ${origin}`);
