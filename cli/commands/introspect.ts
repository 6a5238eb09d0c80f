// `gatehouse introspect`
import { JSON_OPTION } from "../kit/command.ts";
import type { CliCommand } from "../kit/command.ts";
import { progressPrinter, show } from "../kit/output.ts";

interface IntrospectArguments {
  readonly remote?: boolean;
  readonly as?: string;
  readonly reload?: boolean;
  readonly json?: boolean;
}

/** Adds the command to the program. */
export function addIntrospect(program: CliCommand): void {
  program
    .command("introspect")
    .summary("Declares a database in the policy, with everything hidden.")
    .description(
      "Reads a local database and writes its declaration, with everything hidden until you open it. Loads a file into the local database first. Run again, it updates the declaration.",
    )
    .argument("<binding or file>", "a D1 binding of wrangler.jsonc, or a file that ends with .sqlite, .db or .sql")
    .option("--as <binding>", "the binding for a file, such as CRM_DB; its name gives one otherwise")
    .option("--reload", "replace the data that was loaded before, and merge the declaration; everything else stays")
    .option("--remote", "says how to read a deployed database")
    .option(...JSON_OPTION)
    .examples(
      "npm run introspect -- crm.sqlite",
      "npm run introspect -- crm.sqlite --reload",
      "npm run introspect -- CRM_DB",
    )
    .action(async (target: string, { remote = false, reload = false, as, json }: IntrospectArguments) => {
      const { introspect } = await import("../introspection/introspect.ts");
      show(await introspect(target, { remote, as, reload, say: progressPrinter(json) }), json);
    });
}
