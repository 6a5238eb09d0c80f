// The options of every command that opens Gatehouse's own database.
import type { CliCommand } from "../kit/command.ts";
import type { DatabaseChoice, OwnDatabase } from "../own-database/own-database.ts";

/** The values of the options. */
export type DatabaseOptions = DatabaseChoice & { readonly json?: boolean };

/** Adds --local, --remote, --env and --sample. */
export function withDatabaseOptions(command: CliCommand): CliCommand {
  return command
    .option("--local", "the database of this machine (the default)")
    .option("--remote", "the deployment's database")
    .option("--env <name>", "with --remote: an environment of wrangler.jsonc")
    .option("--sample", "the sample organisation on this machine");
}

/** Runs `work` with the database that the options choose. */
export async function inOwnDatabase<T>(
  options: DatabaseOptions,
  work: (database: OwnDatabase) => Promise<T>,
): Promise<T> {
  const { withOwnDatabase } = await import("../own-database/own-database.ts");
  return withOwnDatabase(options, work);
}
