// `gatehouse migrate`
import type { CliCommand } from "../kit/command.ts";
import { print } from "../kit/terminal.ts";

// Loaded when a command runs, so that help and messages about wrong usage appear at once.
const load = async () => import("../local-server/migrate-sources.ts");

/** Adds the command to the program. */
export function addMigrate(program: CliCommand): void {
  program
    .command("migrate")
    .summary("Creates Gatehouse's own tables in the sources' databases.")
    .description(
      "Creates the tables that Gatehouse keeps in the sources' databases: the deployment's, or local ones. npm start and npm run deploy do it too.",
    )
    .option("--local", "the databases of this machine")
    .option("--env <name>", "an environment of wrangler.jsonc")
    .examples("npm run migrate -- --local", "npm run migrate -- --env staging")
    .action(async ({ local, env }: { readonly local?: boolean; readonly env?: string }) =>
      print(await (await load()).migrateSources(local === true ? "--local" : "--remote", env)),
    );
}
