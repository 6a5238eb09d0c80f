// `gatehouse policy check | explain | test | diff`
import { EXIT_CODES } from "../kit/cli-error.ts";
import { collect, JSON_OPTION } from "../kit/command.ts";
import type { CliCommand } from "../kit/command.ts";
import { show } from "../kit/output.ts";
import { printAside } from "../kit/terminal.ts";
import { withDatabaseOptions } from "./database-options.ts";
import type { DatabaseOptions } from "./database-options.ts";

type ExplainOptions = DatabaseOptions & Readonly<Record<"group" | "role" | "attribute", readonly string[]>>;

// Loaded when a command runs, so that help and messages about wrong usage appear at once.
const load = async () => import("../policy-report/policy.ts");

/** Adds the commands to the program. */
export function addPolicy(program: CliCommand): void {
  const policy = program
    .command("policy")
    .summary("Reviews the policy: check, explain, test, diff.")
    .description("Reviews the policy file.")
    .examples("npm run policy -- check");
  withDatabaseOptions(policy.command("check"))
    .description("Shows what each role sees of each dataset, and warns about parts of the policy that have no effect.")
    .option(...JSON_OPTION)
    .examples("npm run policy -- check", "npm run policy -- check --remote --json")
    .action(async (options: DatabaseOptions) => show(await (await load()).checkPolicy(options), options.json));
  withDatabaseOptions(policy.command("explain"))
    .description("Explains what one user sees of a dataset, and by which rules.")
    .argument("<email>", "the user's address")
    .argument("<dataset>", "such as shop.customers")
    .argument("[column]", "also shows the rules behind this column")
    .option("--group <name>", "assume a group of the identity provider; repeatable", collect, [])
    .option("--role <name>", "assume a role in the members table; repeatable", collect, [])
    .option("--attribute <name=value>", "assume an attribute beside those of the policy file; repeatable", collect, [])
    .option(...JSON_OPTION)
    .examples("npm run policy -- explain ann@example.com shop.customers email")
    .action(async (email: string, dataset: string, column: string | undefined, options: ExplainOptions) => {
      const { group: groups, role: roles, attribute: attributes, ...choice } = options;
      const { explainAccess } = await load();
      show(await explainAccess({ email, dataset, column, groups, roles, attributes }, choice), choice.json);
    });
  policy
    .command("test")
    .description(
      "Decides the test cases of a file, such as: role analyst sees shop.customers.email as email. The exit code is 1 unless all of them pass.",
    )
    .argument("[file]", "one case on each line; policy-tests.txt unless given")
    .option("--sample", "the sample organisation's policy, data and cases")
    .option(...JSON_OPTION)
    .examples("npm run policy -- test", "npm run policy -- test policy-tests.txt --json")
    .action(
      async (
        file: string | undefined,
        { sample = false, json }: { readonly sample?: boolean; readonly json?: boolean },
      ) => {
        const { testPolicy } = await import("../policy-test/policy-test.ts");
        const { output, isPassed } = await testPolicy(file, { sample, say: printAside });
        show(output, json);
        process.exitCode = isPassed ? EXIT_CODES.ok : EXIT_CODES.problem;
      },
    );
  policy
    .command("diff")
    .description("Shows which access the policy file opens and closes, compared with a git revision.")
    .argument("<revision>", "a commit, branch or tag")
    .option("--sample", "the sample organisation's policy")
    .option(...JSON_OPTION)
    .examples("npm run policy -- diff HEAD", "npm run policy -- diff v1.2.0")
    .action(
      async (revision: string, { sample = false, json }: { readonly sample?: boolean; readonly json?: boolean }) =>
        show(await (await load()).diffWithRevision(revision, sample), json),
    );
}
