// `gatehouse member list | add | set | remove`
import { JSON_OPTION } from "../kit/command.ts";
import type { CliCommand } from "../kit/command.ts";
import { usageError } from "../kit/cli-error.ts";
import { show } from "../kit/output.ts";
import { printLines } from "../kit/terminal.ts";
import { inOwnDatabase, withDatabaseOptions } from "./database-options.ts";
import type { DatabaseOptions } from "./database-options.ts";

// Loaded when a command runs, so that help and messages about wrong usage appear at once.
const load = async () => import("../own-database/members.ts");
const loadRemoval = async () => import("../own-database/remove-member.ts");

type RemoveOptions = DatabaseOptions & { readonly dryRun?: boolean; readonly yes?: boolean };

/** Adds the commands to the program. */
export function addMember(program: CliCommand): void {
  const member = program
    .command("member")
    .summary("Gives users roles and attributes: list, add, set, remove.")
    .description("Manages the members table, whose roles and attributes add to the policy file's.")
    .examples("npm run member -- add ann@example.com analyst");
  withDatabaseOptions(member.command("list"))
    .description("Lists the members of the policy file and of the members table.")
    .option(...JSON_OPTION)
    .examples("npm run member -- list")
    .action(async (options: DatabaseOptions) =>
      show(await inOwnDatabase(options, async (database) => (await load()).listMembers(database)), options.json),
    );
  withDatabaseOptions(member.command("add"))
    .description("Gives a user a role.")
    .argument("<email>", "the user's address")
    .argument("<role>", "a role of the policy file")
    .examples("npm run member -- add ann@example.com analyst", "npm run member -- add ann@example.com analyst --remote")
    .action(async (email: string, role: string, options: DatabaseOptions) =>
      printLines(await inOwnDatabase(options, async (database) => (await load()).addMemberRole(database, email, role))),
    );
  withDatabaseOptions(member.command("set"))
    .description("Sets attributes of a user, which row rules compare with columns. name= removes an attribute.")
    .argument("<email>", "the user's address")
    .argument("<name=value...>", 'such as region=north or regions=["north","east"]')
    .examples("npm run member -- set ann@example.com region=north", "npm run member -- set ann@example.com region=")
    .action(async (email: string, attributes: readonly string[], options: DatabaseOptions) =>
      printLines(
        await inOwnDatabase(options, async (database) =>
          (await load()).setMemberAttributes(database, email, attributes),
        ),
      ),
    );
  withDatabaseOptions(member.command("remove"))
    .description(
      "Takes a role from a user. Without a role it removes the user: all roles and attributes of the members table, and all connections, personal access tokens, sessions, results and pending work.",
    )
    .argument("<email>", "the user's address")
    .argument("[role]", "the role to take away")
    .option("--dry-run", "without a role: only show what would end")
    .option("--yes", "without a role: remove the user")
    .examples(
      "npm run member -- remove ann@example.com analyst",
      "npm run member -- remove ann@example.com --dry-run",
      "npm run member -- remove ann@example.com --yes",
    )
    .action(
      async (email: string, role: string | undefined, { dryRun = false, yes = false, ...options }: RemoveOptions) =>
        printLines(
          await inOwnDatabase(options, async (database) => {
            if (role === undefined) return (await loadRemoval()).removeMember(database, email, { dryRun, yes });
            if (dryRun) throw usageError("--dry-run goes without a role.");
            return (await load()).removeMemberRole(database, email, role);
          }),
        ),
    );
}
