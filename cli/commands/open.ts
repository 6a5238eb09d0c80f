// `gatehouse open`
import { JSON_OPTION } from "../kit/command.ts";
import type { CliCommand } from "../kit/command.ts";
import { show } from "../kit/output.ts";

interface OpenOptions {
  readonly allButPersonal?: boolean;
  readonly json?: boolean;
}

/** Adds the command to the program. */
export function addOpen(program: CliCommand): void {
  program
    .command("open")
    .summary("Opens introspected tables, views and columns to the roles that read them.")
    .description(
      "Opens introspected tables, views and columns, and prints what becomes visible, and to whom. Columns that look personal, and views, stay hidden until you name them.",
    )
    .argument("[names...]", "such as crm.orders or crm.customers.email; with --all-but-personal, sources")
    .option("--all-but-personal", "open every table, without the columns that look personal; no view")
    .option(...JSON_OPTION)
    .examples("npm run gatehouse -- open crm.orders crm.customers", "npm run gatehouse -- open crm --all-but-personal")
    .action(async (names: readonly string[], { allButPersonal = false, json }: OpenOptions) => {
      const { openDatasets } = await import("../introspection/open.ts");
      show(await openDatasets(names, allButPersonal), json);
    });
}
