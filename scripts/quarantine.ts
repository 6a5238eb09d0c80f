// `npm run quarantine -- list`, `clear [id]`: the statements that stopped the server of this machine while they ran, which it refuses
// to their users until they are cleared here.
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

const USAGE = "Say what to do: list, clear <id> for one statement, or clear for all. --sample is for the sample.";

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
  if (!existsSync(folder)) throw new PolicyProblem(`There is no state in ${folder} yet. Run npm start first.`);
  return folder;
}

async function list(entries: readonly Quarantined[], isSample: boolean): Promise<readonly string[]> {
  if (entries.length === 0) return ["No statement is refused."];
  const emails = await emailsOf(isSample);
  return entries.map(({ id, subject, operation, source, call, atMs }) => {
    const where = source === null ? operation : `${operation} on ${source}`;
    return `${id}  ${describeAddress(emails.get(subject) ?? subject)}  ${where}  call ${call}  ${new Date(atMs).toISOString()}`;
  });
}

const row = z.object({ subject_id: z.string(), email: z.string() });

/** Of each user who has signed in at least once, by subject id. */
async function emailsOf(isSample: boolean): Promise<ReadonlyMap<string, string>> {
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
    throw new PolicyProblem(`There is no refused statement ${id}. npm run quarantine -- list names them.`);
  return [
    count === 1 ? "1 statement is cleared." : `${count} statements are cleared.`,
    ...(count === 0 ? [] : ["A server that runs takes it over within a few seconds, with a short restart."]),
  ];
}

try {
  printLines(await main());
} catch (error) {
  printFailure(error);
  process.exit(1);
}
