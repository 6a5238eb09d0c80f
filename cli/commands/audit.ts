// `gatehouse audit list | show | export | erase | verify | heads | refused`
import { EXIT_CODES } from "../kit/cli-error.ts";
import { JSON_OPTION } from "../kit/command.ts";
import type { CliCommand } from "../kit/command.ts";
import { show } from "../kit/output.ts";
import { printLines } from "../kit/terminal.ts";
import type { EraseOptions } from "../audit-report/erase-records.ts";
import type { ExportOptions } from "../audit-report/export-records.ts";
import type { ListOptions } from "../audit-report/list-records.ts";
import type { RefusedOptions } from "../audit-report/refused-counts.ts";
import type { VerifyOptions } from "../audit-report/verify-records.ts";
import { inOwnDatabase, withDatabaseOptions } from "./database-options.ts";
import type { DatabaseOptions } from "./database-options.ts";

const SINCE = ["--since <time>", "from this time on: a UTC day, a time, or how long ago, such as 24h or 7d"] as const;
const UNTIL = ["--until <time>", "before this time"] as const;

/** Adds the commands to the program. */
export function addAudit(program: CliCommand): void {
  const audit = program
    .command("audit")
    .summary("Reads, verifies and erases in the audit log: list, show, export, erase, verify, heads, refused.")
    .description("Reads, verifies and erases in the audit log. docs/audit.md explains it.")
    .examples("npm run gatehouse -- audit list --user ann@example.com --since 24h");
  addList(audit);
  addShow(audit);
  addExport(audit);
  addErase(audit);
  addVerify(audit);
  addHeads(audit);
  addRefused(audit);
}

function addRefused(audit: CliCommand): void {
  withDatabaseOptions(audit.command("refused"))
    .description("Lists how many requests were refused before their user was known, by minute, cause and network.")
    .option(...SINCE)
    .option("--limit <n>", "how many lines", "50")
    .option(...JSON_OPTION)
    .examples("npm run gatehouse -- audit refused --since 24h --remote")
    .action(async (options: RefusedOptions & DatabaseOptions) => {
      const { listRefusedRequests } = await import("../audit-report/refused-counts.ts");
      const work = async (database: Parameters<typeof listRefusedRequests>[0]) =>
        listRefusedRequests(database, options, Date.now());
      show(await inOwnDatabase(options, work), options.json);
    });
}

function addHeads(audit: CliCommand): void {
  withDatabaseOptions(audit.command("heads"))
    .description("Prints the newest signed list of the ends of all chains, to keep outside the account.")
    .option("--day <day>", "the list that closes this UTC day")
    .option(...JSON_OPTION)
    .examples("npm run gatehouse -- audit heads --json > heads-2026-11-27.json")
    .action(async (options: DatabaseOptions & { readonly day?: string }) => {
      const { showList } = await import("../audit-report/signed-lists.ts");
      show(await inOwnDatabase(options, async (database) => showList(database, options.day)), options.json);
    });
}

function withFilters(command: CliCommand): CliCommand {
  return withDatabaseOptions(command)
    .option("--user <email or subject id>", "records of this user and of their personal access tokens")
    .option("--client <id>", "records of this client, or the name of a personal access token")
    .option("--dataset <source.table>", "records that could read this dataset")
    .option("--column <source.table.column>", "records that read this column")
    .option("--key <source.table/key>", "records that show this row, or possibly do: its id as fetch takes it")
    .option("--decision <decision>", "allowed, denied, or none when a call failed for another reason")
    .option("--action <action>", "such as query, fetch or search")
    .option(...SINCE)
    .option(...UNTIL);
}

function addList(audit: CliCommand): void {
  withFilters(audit.command("list"))
    .description("Lists records, newest first.")
    .option("--limit <n>", "how many records", "50")
    .option("--after <cursor>", "the next page, by what the page before printed")
    .option(...JSON_OPTION)
    .examples(
      "npm run gatehouse -- audit list --user ann@example.com --since 24h",
      "npm run gatehouse -- audit list --column shop.customers.email --key shop.customers/17 --remote",
    )
    .action(async (options: ListOptions & DatabaseOptions) => {
      const { listAuditRecords } = await import("../audit-report/list-records.ts");
      const work = async (database: Parameters<typeof listAuditRecords>[0]) =>
        listAuditRecords(database, options, Date.now());
      show(await inOwnDatabase(options, work), options.json);
    });
}

function addShow(audit: CliCommand): void {
  withDatabaseOptions(audit.command("show"))
    .description("Shows everything of one record, and whether its hash fits the record before it.")
    .argument("<id>", "the id that list prints, or the id of a call")
    .option(...JSON_OPTION)
    .examples("npm run gatehouse -- audit show 3fa94c02be71/17")
    .action(async (id: string, options: DatabaseOptions) => {
      const { showAuditRecord } = await import("../audit-report/show-record.ts");
      show(await inOwnDatabase(options, async (database) => showAuditRecord(database, id)), options.json);
    });
}

function addExport(audit: CliCommand): void {
  withFilters(audit.command("export"))
    .description("Writes all records that match, oldest first.")
    .requiredOption("--format <format>", "jsonl or csv")
    .option("--output <file>", "a new file; standard output without it")
    .examples("npm run gatehouse -- audit export --format csv --since 7d --output week.csv")
    .action(async (options: ExportOptions & DatabaseOptions) => {
      const { exportAuditRecords } = await import("../audit-report/export-records.ts");
      await inOwnDatabase(options, async (database) => exportAuditRecords(database, options, Date.now()));
    });
}

function addErase(audit: CliCommand): void {
  withFilters(audit.command("erase"))
    .description(
      "Takes values out of records, which stay in their chains. With --user alone: everything of the user, their results and the stored answers of their sessions.",
    )
    .option("--record <id>", "the id that list prints, or the id of a call")
    .option("--fields <names>", "which fields, such as arguments,resource,keys")
    .option("--reason <text>", "why; it is stored in the record of the erasure")
    .option("--dry-run", "list the records and fields of the erasure, and erase nothing")
    .option("--yes", "confirm the erasure, which cannot be undone; required unless --dry-run")
    .examples(
      "npm run gatehouse -- audit erase --user ann@example.com --dry-run",
      "npm run gatehouse -- audit erase --record 3fa94c02be71/17 --fields arguments --yes",
    )
    .action(async (options: EraseOptions & DatabaseOptions) => {
      const { eraseAuditRecords } = await import("../audit-report/erase-records.ts");
      printLines(await inOwnDatabase(options, async (database) => eraseAuditRecords(database, options, Date.now())));
    });
}

function addVerify(audit: CliCommand): void {
  withDatabaseOptions(audit.command("verify"))
    .description(
      "Follows the hash chains, and names the first bad record of each. The exit code is 1 when there is one.",
    )
    .option("--day <day>", "the records of a UTC day, such as 2026-11-27")
    .option(...SINCE)
    .option(...UNTIL)
    .option("--user <email or subject id>", "the chain of this user")
    .option("--key <public key>", "the key that you noted outside the account, which must have signed")
    .option("--against <file>", "a list that `audit heads --json` printed earlier and that you kept elsewhere")
    .option(...JSON_OPTION)
    .examples(
      "npm run gatehouse -- audit verify --day 2026-11-27",
      "npm run gatehouse -- audit verify --against heads.json",
    )
    .action(async (options: VerifyOptions & DatabaseOptions) => {
      const { verifyAuditRecords } = await import("../audit-report/verify-records.ts");
      const { output, isSound } = await inOwnDatabase(options, async (database) =>
        verifyAuditRecords(database, options, Date.now()),
      );
      show(output, options.json);
      process.exitCode = isSound ? EXIT_CODES.ok : EXIT_CODES.problem;
    });
}
