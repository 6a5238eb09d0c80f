// `npm run setup:void`: voids the setup code, so that a copy of it in a build log is useless. `--remote` voids the deployment's. It
// cannot be undone, but `npm run member` can give roles at any time.
import { parseArgs } from "node:util";
import * as z from "zod";
import { closeSetup } from "../src/members/setup-statements.ts";
import { DATABASE_OPTIONS, OPERATOR, openOwnDatabase } from "./own-database.ts";
import { printFailure, printLines } from "./terminal.ts";

const setupRows = z.tuple([z.object({ used_ms: z.number(), reason: z.enum(["used", "held", "voided"]) })]);

const MEANS: Readonly<Record<z.output<typeof setupRows>[0]["reason"], string>> = {
  used: "the setup code was used",
  held: "a member had a role with administers: true",
  voided: "the setup code was voided",
};

async function main(): Promise<readonly string[]> {
  const { values } = parseArgs({ options: DATABASE_OPTIONS });
  const database = await openOwnDatabase(values);
  await database.run(closeSetup({ by: OPERATOR, nowMs: Date.now(), reason: "voided" }));
  const rows = await database.run({ sql: "SELECT used_ms, reason FROM setup", values: [] });
  const [{ used_ms: closedMs, reason }] = setupRows.parse(rows);
  return [
    `Setup is closed permanently: ${MEANS[reason]} on ${new Date(closedMs).toISOString()}.`,
    "No setup code works from now on, not even a new one. npm run member -- add <email> <role> gives roles.",
  ];
}

try {
  printLines(await main());
} catch (error) {
  printFailure(error);
  process.exit(1);
}
