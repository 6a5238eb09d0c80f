// `npm run doctor -- URL`: examines a deployment as a client does, and says what is wrong and how to fix it. With an access token in
// GATEHOUSE_TOKEN it also examines the MCP endpoint as a signed-in user. Exits with status 1 when it finds a problem.
import { examine } from "./doctor/examine.ts";
import { linesOf } from "./doctor/finding.ts";
import type { Finding } from "./doctor/finding.ts";
import { Unreachable, send } from "./doctor/http.ts";
import { UsageProblem, parseTarget } from "./doctor/target.ts";
import { print, printAside, printDefect, printFailure } from "./terminal.ts";

/** Creates a print function that removes the access token, in case a server echoes it. */
function printer(token: string | undefined): (line: string) => void {
  return (line) => print(token === undefined ? line : line.replaceAll(token, "[token]"));
}

async function main(): Promise<void> {
  const target = parseTarget(process.argv[2]);
  const setting = process.env["GATEHOUSE_TOKEN"]?.trim() ?? "";
  const token = setting === "" ? undefined : setting;
  const say = printer(token);
  const onFinding = (finding: Finding): void => linesOf(finding).forEach(say);
  const recorded =
    token === undefined ? "" : ", and sends queries that appear in the audit record of the access token's owner";
  say(`Examining ${target.resource}. This registers one client that stays unused${recorded}.`);
  const findings = await examine({ target, token, send, onFinding });
  const problems = findings.filter(({ state }) => state === "problem").length;
  say(problems === 0 ? "No problems found." : `${problems} ${problems === 1 ? "problem" : "problems"} found.`);
  process.exitCode = problems === 0 ? 0 : 1;
}

main().catch((error: unknown) => {
  process.exitCode = 1;
  if (error instanceof UsageProblem) return printFailure(error);
  if (error instanceof Unreachable)
    return printAside(`The server stopped answering (${error.code}). Run the command again.`);
  printDefect(error);
});
