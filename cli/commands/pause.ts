// `gatehouse pause add | list | resume`
import { EXIT_CODES } from "../kit/cli-error.ts";
import { JSON_OPTION } from "../kit/command.ts";
import type { CliCommand } from "../kit/command.ts";
import { show } from "../kit/output.ts";
import type { PauseOptions, ReportedPause, TargetOptions } from "../own-database/pauses.ts";
import { inOwnDatabase, withDatabaseOptions } from "./database-options.ts";
import type { DatabaseOptions } from "./database-options.ts";

// Loaded when a command runs, so that help and messages about wrong usage appear at once.
const load = async () => import("../own-database/pauses.ts");

/** Adds the commands to the program. */
export function addPause(program: CliCommand): void {
  const pause = program
    .command("pause")
    .summary("Stops a user, a personal access token, a client or a source for a while: add, list, resume.")
    .description(
      "Stops a user, a personal access token, a client or a source with the next request. Nothing is revoked or deleted.",
    )
    .examples('npm run gatehouse -- pause add --user ann@example.com --reason "We are checking a report." --for 2h');
  withTarget(pause.command("add"))
    .description("Pauses access, or changes the reason and the end of a pause.")
    .option("--reason <text>", "shown to the users as your words, at most 200 characters")
    .option("--for <time>", "how long: 30m, 2h or 7d; without it until you resume it")
    .option(...JSON_OPTION)
    .examples(
      'npm run gatehouse -- pause add --user ann@example.com --reason "We are checking a report." --for 2h',
      "npm run gatehouse -- pause add --source shop --remote",
    )
    .action(async (options: PauseOptions & DatabaseOptions) => {
      const { addPause: add, readPause } = await load();
      const nowMs = Date.now();
      const asked = readPause(options, nowMs);
      end(await inOwnDatabase(options, async (database) => add(database, asked, nowMs)), options.json);
    });
  withDatabaseOptions(pause.command("list"))
    .description("Lists pauses that are in effect, and those that have ended.")
    .option(...JSON_OPTION)
    .examples("npm run gatehouse -- pause list")
    .action(async (options: DatabaseOptions) =>
      show(
        await inOwnDatabase(options, async (database) => (await load()).listPauses(database, Date.now())),
        options.json,
      ),
    );
  withTarget(pause.command("resume"))
    .description("Ends a pause.")
    .option(...JSON_OPTION)
    .examples("npm run gatehouse -- pause resume --user ann@example.com")
    .action(async (options: TargetOptions & DatabaseOptions) => {
      const { endPause, readTarget } = await load();
      const target = readTarget(options);
      end(await inOwnDatabase(options, async (database) => endPause(database, target, Date.now())), options.json);
    });
}

/** Prints a change. One that has not reached every ledger is a problem, which a script must notice. */
function end(reported: ReportedPause, isJson: boolean | undefined): void {
  show(reported, isJson);
  if (!reported.isDone) process.exitCode = EXIT_CODES.problem;
}

function withTarget(command: CliCommand): CliCommand {
  return withDatabaseOptions(command)
    .option("--user <email>", "a user with their personal access tokens")
    .option("--token <id>", "one personal access token, by the id that token list prints")
    .option("--client <id>", "a client, by the id in audit records")
    .option("--source <name>", "a source of the policy file");
}
