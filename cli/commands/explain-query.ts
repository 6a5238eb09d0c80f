// `gatehouse explain-query`
import { collect, JSON_OPTION } from "../kit/command.ts";
import type { CliCommand } from "../kit/command.ts";
import { show } from "../kit/output.ts";

interface ExplainQueryOptions {
  readonly as?: string;
  readonly role: readonly string[];
  readonly attribute: readonly string[];
  readonly source: string;
  readonly file?: string;
  readonly params?: string;
  readonly sample?: boolean;
  readonly json?: boolean;
}

/** Adds the command to the program. */
export function addExplainQuery(program: CliCommand): void {
  program
    .command("explain-query")
    .summary("Explains what would happen to a query, without running it.")
    .description(
      "Explains what would happen to a query of a user on this machine's data: the decision, the SQL with its guard views, SQLite's plan, the estimate of the work, and the verdict of each layer. It runs nothing.",
    )
    .argument("[sql]", "the SELECT, in quotes; or --file")
    .requiredOption("--source <name>", "the source that the query reads")
    .option("--as <email>", "the user: a member of the policy file or of the members table")
    .option("--role <name>", "a role to assume, also without --as; repeatable", collect, [])
    .option(
      "--attribute <name=value>",
      "an attribute to assume beside those of the policy file; repeatable",
      collect,
      [],
    )
    .option("--file <path>", "read the SQL from a file")
    .option("--params <json>", 'the values of its ? in order, such as ["north",5]')
    .option("--sample", "the sample organisation on this machine")
    .option(...JSON_OPTION)
    .examples(
      'npm run gatehouse -- explain-query --as ann@example.com --source shop "SELECT email FROM customers"',
      "npm run gatehouse -- explain-query --role analyst --source shop --file report.sql --json",
    )
    .action(
      async (
        sql: string | undefined,
        { as, role: roles, attribute: attributes, json, ...options }: ExplainQueryOptions,
      ) => {
        const { explainQueryOf } = await import("../query-report/explain-query.ts");
        show(await explainQueryOf({ ...options, sql, email: as, roles, attributes }), json);
      },
    );
}
