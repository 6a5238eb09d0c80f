// `npm run quarantine -- list`, `clear [id]`: lists and clears the statements that stopped the local server. The server refuses such a
// statement to the user who sent it until the operator clears it here.
import { describeAddress } from "../../src/lib/email-address.ts";
import { CliError } from "../kit/cli-error.ts";
import { requireStateFolder } from "../project/state-folder.ts";
import { withOwnDatabase } from "../own-database/own-database.ts";
import type { Output } from "../kit/output.ts";
import { openQuarantine } from "./supervisor/quarantine-file.ts";
import type { Quarantined } from "./supervisor/quarantine-file.ts";

/** Lists the refused statements with the users who sent them. `isSample` reads the sample's users. */
export async function listRefusedStatements(isSample: boolean): Promise<Output> {
  const entries = openQuarantine(requireStateFolder()).list();
  const emails = entries.length === 0 ? new Map<string, string>() : await readAddresses(isSample);
  const statements = entries.map((entry) => ({ ...entry, user: emails.get(entry.subject) ?? entry.subject }));
  return {
    lines: statements.length === 0 ? ["No statement is refused."] : statements.map(describeStatement),
    data: {
      statements: statements.map(({ id, user, operation, source, call, atMs }) => ({
        id,
        user,
        operation,
        source,
        call,
        at: new Date(atMs).toISOString(),
      })),
    },
  };
}

async function readAddresses(sample: boolean): Promise<ReadonlyMap<string, string>> {
  return withOwnDatabase({ local: true, sample }, async ({ members }) => members.listAddresses());
}

function describeStatement({
  id,
  user,
  operation,
  source,
  call,
  atMs,
}: Quarantined & { readonly user: string }): string {
  const where = source === null ? operation : `${operation} on ${source}`;
  return `${id}  ${describeAddress(user)}  ${where}  call ${call}  ${new Date(atMs).toISOString()}`;
}

/** Clears one refused statement, or all. Throws `CliError` for an unknown id. */
export function clearRefusedStatements(id: string | undefined): readonly string[] {
  const count = openQuarantine(requireStateFolder()).clear(id);
  if (id !== undefined && count === 0)
    throw new CliError(`There is no refused statement ${id}. npm run quarantine -- list lists them.`);
  return [
    count === 1 ? "1 statement was cleared." : `${count} statements were cleared.`,
    ...(count === 0 ? [] : ["A running server restarts within a few seconds to apply this."]),
  ];
}
