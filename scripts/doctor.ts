// `npm run doctor -- URL`: looks at a deployment as a client does, says what is wrong and how to mend it. With GATEHOUSE_TOKEN in the environment
// also from inside. Ends with 1 when something is wrong.
import { examine } from "./doctor/examine.ts";
import { linesOf } from "./doctor/finding.ts";
import type { Finding } from "./doctor/finding.ts";
import { Unreachable, send } from "./doctor/http.ts";
import { UsageProblem, parseTarget } from "./doctor/target.ts";
import { print, printAside, printDefect, printFailure } from "./terminal.ts";

/** Prints with the token taken out, should a server send it back. */
function printer(token: string | undefined): (line: string) => void {
  return (line) => print(token === undefined ? line : line.replaceAll(token, "[token]"));
}

async function main(): Promise<void> {
  const target = parseTarget(process.argv[2]);
  const given = process.env["GATEHOUSE_TOKEN"]?.trim() ?? "";
  const token = given === "" ? undefined : given;
  const say = printer(token);
  const onFinding = (finding: Finding): void => linesOf(finding).forEach(say);
  say(
    `Looking at ${target.resource}. This registers one client that nobody uses${token === undefined ? "" : ", and asks queries that stand in the token's record"}.`,
  );
  const findings = await examine({ target, token, send, onFinding });
  const bad = findings.filter(({ state }) => state === "problem").length;
  say(bad === 0 ? "Nothing is wrong." : `${bad} thing(s) to mend.`);
  process.exitCode = bad === 0 ? 0 : 1;
}

main().catch((error: unknown) => {
  process.exitCode = 1;
  if (error instanceof UsageProblem) return printFailure(error);
  if (error instanceof Unreachable) return printAside(`The server stopped answering (${error.code}). Run this again.`);
  printDefect(error);
});
