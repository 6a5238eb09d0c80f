// Where the local state lies: databases, keys and the notes of the local server.
import { existsSync } from "node:fs";
import path from "node:path";
import { CliError } from "../kit/cli-error.ts";
import { root } from "./tools.ts";

/** The folder of the local state, which GATEHOUSE_STATE moves. It may not exist yet. */
export function stateFolder(): string {
  return path.resolve(root, process.env["GATEHOUSE_STATE"] ?? ".wrangler/state");
}

/** Whether this machine has local state, which the first `npm start` creates. */
export function hasLocalState(): boolean {
  return existsSync(stateFolder());
}

/** The folder of the local state. Throws `CliError` when it does not exist. */
export function requireStateFolder(): string {
  const folder = stateFolder();
  if (!hasLocalState()) throw new CliError(`There is no local state in ${folder} yet. Run npm start first.`);
  return folder;
}
