// `npm run quarantine -- list`, `clear [id]`: lists and clears the statements that stopped the local server. The server refuses such a
// statement to the user who sent it until the operator clears it here.
import { existsSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import * as z from "zod";
import { describeAddress } from "../src/lib/email-address.ts";
import { root } from "./build.ts";
import { openOwnDatabase } from "./own-database.ts";
import { PolicyProblem } from "./policy-file.ts";
import { openQuarantine } from "./supervisor/quarantine-file.ts";
import type { Quarantined, QuarantineFile } from "./supervisor/quarantine-file.ts";
import { printFailure, printLines } from "./terminal.ts";

const USAGE =
  "Give a command: list, clear <id> for one statement, or clear for all. --sample reads the sample's users.";

async function main(): Promise<readonly string[]> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { sample: { type: "boolean", default: false } },
  });
  const [command, id] = positionals;
  const quarantine = openQuarantine(stateDir());
  if (command === "list" && positionals.length === 1) return list(quarantine.list(), values.sample);
  if (command === "clear" && positionals.length <= 2) return clear(quarantine, id);
  throw new PolicyProblem(USAGE);
}

function stateDir(): string {
  const folder = path.resolve(root, process.env["GATEHOUSE_STATE"] ?? ".wrangler/state");
  if (!existsSync(folder)) throw new PolicyProblem(`There is no local state in ${folder} yet. Run npm start first.`);
  return folder;
}

async function list(entries: readonly Quarantined[], isSample: boolean): Promise<readonly string[]> {
  if (entries.length === 0) return ["No statement is refused."];
  const emails = await readEmails(isSample);
  return entries.map(({ id, subject, operation, source, call, atMs }) => {
    const where = source === null ? operation : `${operation} on ${source}`;
    const user = describeAddress(emails.get(subject) ?? subject);
    return `${id}  ${user}  ${where}  call ${call}  ${new Date(atMs).toISOString()}`;
  });
}

const row = z.object({ subject_id: z.string(), email: z.string() });

/** The email address, by subject id, of each user who has signed in at least once. */
async function readEmails(isSample: boolean): Promise<ReadonlyMap<string, string>> {
  const database = await openOwnDatabase({ local: true, remote: false, sample: isSample });
  const rows = await database.run({ sql: "SELECT subject_id, email FROM subject", values: [] });
  return new Map(
    z
      .array(row)
      .parse(rows)
      .map(({ subject_id: id, email }) => [id, email]),
  );
}

function clear(quarantine: QuarantineFile, id: string | undefined): readonly string[] {
  const count = quarantine.clear(id);
  if (id !== undefined && count === 0)
    throw new PolicyProblem(`There is no refused statement ${id}. npm run quarantine -- list lists them.`);
  return [
    count === 1 ? "1 statement was cleared." : `${count} statements were cleared.`,
    ...(count === 0 ? [] : ["A running server restarts within a few seconds to apply this."]),
  ];
}

try {
  printLines(await main());
} catch (error) {
  printFailure(error);
  process.exit(1);
}
