// `gatehouse new-tool`
import type { CliCommand } from "../kit/command.ts";
import { print } from "../kit/terminal.ts";

// Loaded when a command runs, so that help and messages about wrong usage appear at once.
const load = async () => import("../custom-tools/new-tool.ts");

/** Adds the command to the program. */
export function addNewTool(program: CliCommand): void {
  program
    .command("new-tool")
    .summary("Creates a custom tool of your organisation.")
    .description(
      "Creates a custom tool as one file that reads through the gateway. docs/tools.md explains what it may do.",
    )
    .argument("<name>", "lower-case letters, digits, - and _")
    .examples("npm run new:tool -- top-customers")
    .action(async (name: string) => print(await (await load()).createCustomTool(name)));
}
