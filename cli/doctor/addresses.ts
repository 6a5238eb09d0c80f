// Checks the URLs that people mistype and clients guess instead of the endpoint's: each must lead to the endpoint or name it.
import { metadataUrlOf } from "./challenge.ts";
import { fine, problem } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { objectOf } from "./http.ts";
import type { Answer, Send } from "./http.ts";
import { OPENINGS, headersOf } from "./messages.ts";
import type { Target } from "./target.ts";

interface Address {
  /** How the finding names it. */
  readonly name: string;
  readonly url: string;
  readonly init: RequestInit;
  readonly isRight: (answer: Answer, target: Target) => boolean;
}

const OPENING: RequestInit = { method: "POST", headers: headersOf("2025"), body: JSON.stringify(OPENINGS["2025"]) };

/** Requests each alternative URL, and reports those that neither lead to the endpoint nor name it. */
export async function examineAddresses(target: Target, send: Send): Promise<Finding> {
  const check = "addresses";
  const wrong: string[] = [];
  for (const { name, url, init, isRight } of listAddresses(target))
    if (!isRight(await send(url, init), target)) wrong.push(name);
  if (wrong.length === 0) return fine(check, "clients find the endpoint from a mistyped or guessed URL");
  return problem(
    check,
    `clients do not find the endpoint from ${wrong.join(", ")}`,
    "Deploy a current version of this repository. If it is current, look for rules in front of the Worker that answer these paths.",
  );
}

function listAddresses({ resource, origin }: Target): readonly Address[] {
  const events = { headers: { accept: "text/event-stream" } };
  return [
    { name: "the URL with a slash at the end", url: `${resource}/`, init: OPENING, isRight: isChallenge },
    { name: "POST /", url: `${origin}/`, init: OPENING, isRight: isNamed },
    { name: "GET /sse", url: `${origin}/sse`, init: events, isRight: isNamed },
    {
      name: "metadata without the suffix",
      url: `${origin}/.well-known/oauth-protected-resource`,
      init: { headers: { accept: "application/json" } },
      isRight: (answer) => answer.status === 200 && objectOf(answer)?.["resource"] === resource,
    },
  ];
}

function isChallenge({ status, headers }: Answer, target: Target): boolean {
  const header = headers.get("www-authenticate") ?? "";
  return status === 401 && header.includes(`resource_metadata="${metadataUrlOf(target)}"`);
}

/** Whether the answer is a challenge whose JSON contains the endpoint's URL for people to read. */
function isNamed(answer: Answer, target: Target): boolean {
  return isChallenge(answer, target) && objectOf(answer) !== undefined && answer.text.includes(target.resource);
}
