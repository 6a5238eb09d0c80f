// `gatehouse reset`
import type { CliCommand } from "../kit/command.ts";
import { printLines } from "../kit/terminal.ts";

// Loaded when a command runs, so that help and messages about wrong usage appear at once.
const load = async () => import("../local-server/reset.ts");

/** Adds the command to the program. */
export function addReset(program: CliCommand): void {
  program
    .command("reset")
    .summary("Deletes the local state.")
    .description(
      "Deletes the local state: sign-ins, members, audit records, results and local databases. It cannot touch a deployment.",
    )
    .option("--yes", "delete it")
    .examples("npm run reset -- --yes")
    .action(async ({ yes = false }: { readonly yes?: boolean }) => printLines((await load()).resetState(yes)));
}
