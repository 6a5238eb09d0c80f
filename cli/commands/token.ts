// `gatehouse token create | list | revoke`
import { JSON_OPTION } from "../kit/command.ts";
import type { CliCommand } from "../kit/command.ts";
import { show } from "../kit/output.ts";
import { printLines } from "../kit/terminal.ts";
import { inOwnDatabase, withDatabaseOptions } from "./database-options.ts";
import type { DatabaseOptions } from "./database-options.ts";

/** How many days a personal access token is valid unless the operator says otherwise. */
const DEFAULT_DAYS = 30;

type CreateOptions = DatabaseOptions & {
  readonly owner: string;
  readonly role: readonly string[];
  readonly days: string;
};

// Loaded when a command runs, so that help and messages about wrong usage appear at once.
const load = async () => import("../own-database/tokens.ts");

/** Adds the commands to the program. */
export function addToken(program: CliCommand): void {
  const token = program
    .command("token")
    .summary("Manages personal access tokens for programs: create, list, revoke.")
    .description("Manages personal access tokens, with which programs use the MCP endpoint.")
    .examples("npm run token -- create nightly --owner ann@example.com --role analyst");
  withDatabaseOptions(token.command("create"))
    .description("Creates a personal access token and prints it once. The database has only its hash.")
    .argument("<name>", "what the token is for")
    .requiredOption("--owner <email>", "the user whose roles limit the token's")
    .requiredOption(
      "--role <name>",
      "a role that the token may use; repeatable",
      (value, values?: readonly string[]) => [...(values ?? []), value],
    )
    .option("--days <n>", "how many days it is valid", String(DEFAULT_DAYS))
    .option(...JSON_OPTION)
    .examples("npm run token -- create nightly --owner ann@example.com --role analyst --days 7")
    .action(async (name: string, { owner, role: roles, days, ...options }: CreateOptions) =>
      show(
        await inOwnDatabase(options, async (database) =>
          (await load()).createToken(database, { name, owner, roles, days }),
        ),
        options.json,
      ),
    );
  withDatabaseOptions(token.command("list"))
    .description("Lists all personal access tokens, without their text.")
    .option(...JSON_OPTION)
    .examples("npm run token -- list")
    .action(async (options: DatabaseOptions) =>
      show(await inOwnDatabase(options, async (database) => (await load()).listTokens(database)), options.json),
    );
  withDatabaseOptions(token.command("revoke"))
    .description("Revokes a personal access token. Its next request is refused, and its open sessions end.")
    .argument("<id>", "the id that list prints")
    .examples("npm run token -- revoke 4f0c2a91d7e35b68")
    .action(async (id: string, options: DatabaseOptions) =>
      printLines(await inOwnDatabase(options, async (database) => (await load()).revokeToken(database, id))),
    );
}
