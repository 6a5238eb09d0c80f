// Runs the doctor's checks in order; each step needs the results of the one before.
import { examineAddresses } from "./addresses.ts";
import { examineAttacks } from "./attacks.ts";
import { examineChallenges, examineCors, examineOrigin } from "./challenge.ts";
import { skipped } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { examineHeaderForms } from "./header-forms.ts";
import type { Send } from "./http.ts";
import { examineAuthorizationServer, examineResource } from "./metadata.ts";
import { examineFirstSteps } from "./registration.ts";
import { createPost, examineHandshakes } from "./session.ts";
import type { Target } from "./target.ts";
import { examineClock, examineReach, examineTls } from "./transport.ts";

/** What to examine, and how to send requests and report findings. */
interface Examination {
  readonly target: Target;
  /** An access token or personal access token; undefined to examine only what works without one. */
  readonly token: string | undefined;
  readonly send: Send;
  /** Called with each finding as soon as it is known. */
  readonly onFinding: (finding: Finding) => void;
}

/** Examines a deployment and returns every finding, in order. Throws `Unreachable` when the server stops answering midway. */
export async function examine({ target, token, send, onFinding }: Examination): Promise<readonly Finding[]> {
  const all: Finding[] = [];
  const add = (findings: readonly Finding[]): void => {
    for (const finding of findings) {
      all.push(finding);
      onFinding(finding);
    }
  };
  const { findings, answer } = await examineReach(target, send);
  add(findings);
  if (answer === undefined) return all;
  add([await examineTls(target), examineClock(answer)]);
  add(await examineChallenges(target, send));
  add([await examineOrigin(target, send)]);
  const { findings: resource, issuer } = await examineResource(target, send);
  add(resource);
  add([
    all.some(({ state }) => state === "problem")
      ? skipped("addresses", "fix the problems at the endpoint's own URL first")
      : await examineAddresses(target, send),
  ]);
  if (issuer !== undefined) {
    const { findings: metadata, server } = await examineAuthorizationServer(target, issuer, send);
    add(metadata);
    const endpoints = server === undefined ? [] : [server.tokenEndpoint, server.registrationEndpoint];
    add(
      await examineCors(
        target,
        endpoints.filter((url) => url !== undefined),
        send,
      ),
    );
    if (server !== undefined) add(await examineFirstSteps(target, server, send));
  }
  add(
    token === undefined
      ? [skipped("inside", "set GATEHOUSE_TOKEN to an access token to examine these too")]
      : await examineInside(token, all, { target, send }),
  );
  return all;
}

async function examineInside(
  token: string,
  before: readonly Finding[],
  { target, send }: Pick<Examination, "target" | "send">,
): Promise<readonly Finding[]> {
  if (before.some(({ check, state }) => check === "tls" && state === "problem"))
    return [skipped("inside", "the access token is not sent over an untrusted connection")];
  const post = createPost(target, token, send);
  const handshakes = await examineHandshakes(post);
  return handshakes.every(({ state }) => state === "fine")
    ? [...handshakes, ...(await examineHeaderForms(post)), ...(await examineAttacks(post))]
    : handshakes;
}
