// Runs the doctor and reports its findings: as lines, each printed as soon as it is known, or as data.
import { CliError } from "../kit/cli-error.ts";
import type { Output } from "../kit/output.ts";
import { examine } from "./examine.ts";
import { linesOf } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { Unreachable, send } from "./http.ts";
import { parseTarget } from "./target.ts";

/** What the doctor found, and how many of the findings are problems. */
interface Diagnosis {
  readonly problems: number;
  /** The result after the lines that `say` has printed. */
  readonly output: Output;
}

/**
 * Examines the deployment at a URL. `token` is an access token, or undefined. `say` prints each finding when it is known. Throws
 * `CliError` for an invalid URL and when the server stops answering.
 */
export async function diagnose(
  url: string,
  token: string | undefined,
  say: (line: string) => void,
): Promise<Diagnosis> {
  const target = parseTarget(url);
  // A server may echo the access token.
  const mask = (text: string): string => (token === undefined ? text : text.replaceAll(token, "[token]"));
  const onFinding = (finding: Finding): void => linesOf(finding).forEach((line) => say(mask(line)));
  const recorded =
    token === undefined ? "" : ", and sends queries that appear in the audit record of the access token's owner";
  say(`Examining ${target.resource}. This registers one client that stays unused${recorded}.`);
  const findings = await examine({ target, token, send, onFinding }).catch((error: unknown) => {
    if (!(error instanceof Unreachable)) throw error;
    throw new CliError(`The server stopped answering (${error.code}). Run the command again.`, { cause: error });
  });
  const problems = findings.filter(({ state }) => state === "problem").length;
  const summary =
    problems === 0 ? "No problems found." : `${problems} ${problems === 1 ? "problem" : "problems"} found.`;
  return {
    problems,
    output: {
      lines: [summary],
      data: { endpoint: target.resource, problems, findings: findings.map(maskFinding(mask)) },
    },
  };
}

function maskFinding(mask: (text: string) => string): (finding: Finding) => Finding {
  return (finding) =>
    "mend" in finding
      ? { ...finding, says: mask(finding.says), mend: mask(finding.mend) }
      : { ...finding, says: mask(finding.says) };
}
