// `npm run reset -- --yes`: deletes the local state of `npm start`, so that the next start begins with empty databases. It cannot touch a
// deployment.
import { existsSync, rmSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { root } from "./build.ts";
import { findRunningPid } from "./local.ts";
import { listState } from "./private-files.ts";
import { printFailure, printLines } from "./terminal.ts";

/** A reason why the state is not deleted now. Printed without a stack. */
class ResetProblem extends Error {}

function main(): readonly string[] {
  const { values } = parseArgs({ options: { yes: { type: "boolean", default: false } } });
  const folder = path.resolve(root, process.env["GATEHOUSE_STATE"] ?? ".wrangler/state");
  const entries = existsSync(folder) ? listState(folder) : [];
  if (entries.length === 0) return [`There is no state in ${folder}. Nothing to delete.`];
  const pid = findRunningPid(folder);
  if (pid !== undefined)
    throw new ResetProblem(
      `npm start uses this state in process ${pid}. Stop it first, then run this command again. ` +
        `If that process is another program, delete ${path.join(folder, "pid")}.`,
    );
  if (!values.yes)
    throw new ResetProblem(
      `This deletes all sign-ins, members, audit records, results and local databases in ${folder}. ` +
        "Copy what you want to keep, then run: npm run reset -- --yes",
    );
  for (const entry of entries) rmSync(path.join(folder, entry), { recursive: true, force: true });
  return [`Deleted the state in ${folder}. The next npm start creates a new one.`];
}

try {
  printLines(main());
} catch (error) {
  printFailure(error);
  process.exit(1);
}
