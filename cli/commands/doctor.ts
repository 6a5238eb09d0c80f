// `gatehouse doctor`
import { EXIT_CODES } from "../kit/cli-error.ts";
import { JSON_OPTION } from "../kit/command.ts";
import type { CliCommand } from "../kit/command.ts";
import { progressPrinter, show } from "../kit/output.ts";

// Loaded when a command runs, so that help and messages about wrong usage appear at once.
const load = async () => import("../doctor/report.ts");

/** Adds the command to the program. */
export function addDoctor(program: CliCommand): void {
  program
    .command("doctor")
    .summary("Examines a deployment as a client does.")
    .description(
      "Examines a deployment as a client does, and says what is wrong and how to fix it. With an access token in GATEHOUSE_TOKEN it also examines the MCP endpoint as a signed-in user. The exit code is 1 when it finds a problem.",
    )
    .argument("<url>", "the URL of the deployment or of its endpoint")
    .option(...JSON_OPTION)
    .examples("npm run doctor -- https://gatehouse.example.com")
    .action(async (url: string, { json }: { readonly json?: boolean }) => {
      const setting = process.env["GATEHOUSE_TOKEN"]?.trim() ?? "";
      const { problems, output } = await (
        await load()
      ).diagnose(url, setting === "" ? undefined : setting, progressPrinter(json));
      show(output, json);
      process.exitCode = problems === 0 ? EXIT_CODES.ok : EXIT_CODES.problem;
    });
}
