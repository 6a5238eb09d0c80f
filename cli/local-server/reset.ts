// `npm run reset -- --yes`: deletes the local state of `npm start`, so that the next start begins with empty databases. It cannot touch a
// deployment.
import { existsSync, rmSync } from "node:fs";
import path from "node:path";
import { CliError } from "../kit/cli-error.ts";
import { stateFolder } from "../project/state-folder.ts";
import { findRunningPid } from "./local.ts";
import { listState } from "../project/private-files.ts";

/** Deletes the local state. Throws `CliError` without confirmation, and while a server uses it. */
export function resetState(isConfirmed: boolean): readonly string[] {
  const folder = stateFolder();
  const entries = existsSync(folder) ? listState(folder) : [];
  if (entries.length === 0) return [`There is no state in ${folder}. Nothing to delete.`];
  const pid = findRunningPid(folder);
  if (pid !== undefined)
    throw new CliError(
      `npm start uses this state in process ${pid}. Stop it first, then run this command again. ` +
        `If that process is another program, delete ${path.join(folder, "pid")}.`,
    );
  if (!isConfirmed)
    throw new CliError(
      `This deletes all sign-ins, members, audit records, results and local databases in ${folder}. ` +
        "Copy what you want to keep, then run: npm run reset -- --yes",
    );
  for (const entry of entries) rmSync(path.join(folder, entry), { recursive: true, force: true });
  return [`Deleted the state in ${folder}. The next npm start creates a new one.`];
}
