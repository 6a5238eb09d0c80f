// `gatehouse push`
import { JSON_OPTION } from "../kit/command.ts";
import type { CliCommand } from "../kit/command.ts";
import { progressPrinter, show } from "../kit/output.ts";

interface Options {
  readonly env?: string;
  readonly replace?: string;
  readonly json?: boolean;
}

/** Adds the command to the program. */
export function addPush(program: CliCommand): void {
  program
    .command("push")
    .summary("Copies a source's local database to your Cloudflare account.")
    .description(
      "Copies the local database of a source to its D1 database, creates that if needed, and compares both. An interrupted run can be run again: it goes on where it stopped. docs/own-database.md explains it.",
    )
    .argument("<source>", "a source of the policy file, such as crm")
    .option(
      "--replace <database>",
      "replace the data of a database that is not empty; repeats its name as a confirmation",
    )
    .option("--env <name>", "an environment of wrangler.jsonc")
    .option(...JSON_OPTION)
    .examples("npm run gatehouse -- push crm", "npm run gatehouse -- push crm --replace crm")
    .action(async (source: string, { env: environment, replace, json }: Options) => {
      const { push } = await import("../push/push.ts");
      show(await push(source, { environment, replace, say: progressPrinter(json) }), json);
    });
}
