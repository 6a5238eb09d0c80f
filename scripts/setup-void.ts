// `npm run setup:void`: voids the set-up code, so that having read it in a build's log is of no use. `--remote` does it in
// the deployment. It cannot be taken back; `npm run member` gives roles at any time.
import { parseArgs } from "node:util";
import * as z from "zod";
import { closeSetup } from "../src/storage/setup-statements.ts";
import { DATABASE_OPTIONS, OPERATOR, openOwnDatabase } from "./own-database.ts";
import { printFailure, printLines } from "./terminal.ts";

const closed = z.tuple([z.object({ used_ms: z.number(), reason: z.enum(["used", "held", "voided"]) })]);

const MEANS: Readonly<Record<z.output<typeof closed>[0]["reason"], string>> = {
  used: "the set-up code was used",
  held: "a role with administers: true was held",
  voided: "the set-up code was voided",
};

async function main(): Promise<readonly string[]> {
  const { values } = parseArgs({ options: DATABASE_OPTIONS });
  const database = await openOwnDatabase(values);
  await database.run(closeSetup({ by: OPERATOR, nowMs: Date.now(), reason: "voided" }));
  const rows = await database.run({ sql: "SELECT used_ms, reason FROM setup", values: [] });
  const [{ used_ms: closedMs, reason }] = closed.parse(rows);
  return [
    `Set-up is closed for good: ${MEANS[reason]} on ${new Date(closedMs).toISOString()}.`,
    "No set-up code works any more, nor does a new one. npm run member -- add <email> <role> gives roles.",
  ];
}

try {
  printLines(await main());
} catch (error) {
  printFailure(error);
  process.exit(1);
}
