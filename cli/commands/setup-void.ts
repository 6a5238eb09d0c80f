// `gatehouse setup-void`
import type { CliCommand } from "../kit/command.ts";
import { printLines } from "../kit/terminal.ts";
import { withDatabaseOptions } from "./database-options.ts";
import type { DatabaseOptions } from "./database-options.ts";

// Loaded when a command runs, so that help and messages about wrong usage appear at once.
const load = async () => import("../own-database/setup.ts");

/** Adds the command to the program. */
export function addSetupVoid(program: CliCommand): void {
  withDatabaseOptions(program.command("setup-void"))
    .summary("Voids the setup code permanently.")
    .description(
      "Voids the setup code permanently, so that a copy of it in a build log is useless. npm run member can give roles at any time.",
    )
    .examples("npm run setup:void -- --remote")
    .action(async (options: DatabaseOptions) => printLines(await (await load()).voidSetupCode(options)));
}
