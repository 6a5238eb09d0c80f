// `gatehouse remove`
import { JSON_OPTION } from "../kit/command.ts";
import type { CliCommand } from "../kit/command.ts";
import { show } from "../kit/output.ts";

/** Adds the command to the program. */
export function addRemove(program: CliCommand): void {
  program
    .command("remove")
    .summary("Takes an introspected source out of the policy again.")
    .description(
      "Takes an introspected source out of the policy again: its declaration, its binding in wrangler.jsonc and its local data. It cannot touch a deployment.",
    )
    .argument("<source>", "a source that introspect declared, such as crm")
    .option("--yes", "remove it")
    .option(...JSON_OPTION)
    .examples("npm run gatehouse -- remove crm --yes")
    .action(async (source: string, { yes = false, json }: { readonly yes?: boolean; readonly json?: boolean }) => {
      const { removeSource } = await import("../introspection/remove.ts");
      show(await removeSource(source, yes), json);
    });
}
