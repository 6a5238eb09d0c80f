// `gatehouse quarantine list | clear`
import { JSON_OPTION } from "../kit/command.ts";
import type { CliCommand } from "../kit/command.ts";
import { show } from "../kit/output.ts";
import { printLines } from "../kit/terminal.ts";

// Loaded when a command runs, so that help and messages about wrong usage appear at once.
const load = async () => import("../local-server/quarantine.ts");

/** Adds the commands to the program. */
export function addQuarantine(program: CliCommand): void {
  const quarantine = program
    .command("quarantine")
    .summary("Manages statements that stopped the local server: list, clear.")
    .description("Manages statements that stopped the local server, which it refuses to the user who sent them.")
    .examples("npm run quarantine -- list");
  quarantine
    .command("list")
    .description("Lists the refused statements.")
    .option("--sample", "the sample organisation's users")
    .option(...JSON_OPTION)
    .examples("npm run quarantine -- list")
    .action(async ({ sample = false, json }: { readonly sample?: boolean; readonly json?: boolean }) =>
      show(await (await load()).listRefusedStatements(sample), json),
    );
  quarantine
    .command("clear")
    .description("Lets users send the statement with this id again, or without an id all refused statements.")
    .argument("[id]", "the id that list prints")
    .examples("npm run quarantine -- clear 0badcafe", "npm run quarantine -- clear")
    .action(async (id: string | undefined) => printLines((await load()).clearRefusedStatements(id)));
}
