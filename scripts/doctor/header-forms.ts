// Headers in the forms in which clients send them (HTTP lets them choose), examined with a token: Accept in the 2025 era, and the
// encoded values of the 2026 era.
import { fine, problem, quote } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { isObject, objectOf } from "./http.ts";
import type { Answer } from "./http.ts";
import { OPENINGS, headersOf, message2026 } from "./messages.ts";
import type { Post } from "./session.ts";

/** A request without an Accept cannot be sent from here; to the server it is the same as the empty one. */
const ACCEPTS = ["", "*/*", "application/json", "application/*", "Application/JSON, Text/Event-Stream"];
const MEND =
  "Deploy a current version of this repository. If it is current, look for rules in front that change headers.";

export async function examineHeaderForms(post: Post): Promise<readonly Finding[]> {
  return [await examineAccept(post), await examineEncodedName(post)];
}

async function examineAccept(post: Post): Promise<Finding> {
  const check = "accept (2025)";
  const opened = await post(OPENINGS["2025"], headersOf("2025"));
  const session = opened.headers.get("mcp-session-id");
  if (session === null) return problem(check, `no session was opened (${opened.status})`, MEND);
  const headers = { ...headersOf("2025"), "mcp-session-id": session, "mcp-protocol-version": "2025-11-25" };
  const refused: string[] = [];
  for (const [index, accept] of ACCEPTS.entries()) {
    const answer = await post({ jsonrpc: "2.0", id: index + 2, method: "ping" }, { ...headers, accept });
    if (!isAnswered(answer)) refused.push(`${quote(accept)} (${answer.status})`);
  }
  await post({}, headers, "DELETE");
  if (refused.length === 0) return fine(check, "clients are served in every form of the header");
  return problem(check, `clients cannot connect whose Accept is ${refused.join(", ")}`, MEND);
}

async function examineEncodedName(post: Post): Promise<Finding> {
  const check = "encoded headers (2026)";
  const call = async (name: string): Promise<Answer> =>
    post(message2026("tools/call", { name: "describe", arguments: {} }), headersOf("2026", "tools/call", name));
  const encoded = await call(`=?base64?${btoa("describe")}?=`);
  if (!isAnswered(encoded))
    return problem(check, `a tool whose name is encoded is not found (${encoded.status})`, MEND);
  const broken = await call("=?base64?%?=");
  if (broken.status !== 400)
    return problem(check, `a name that cannot be decoded gets ${broken.status}, not 400`, MEND);
  return fine(check, "read like plain ones; what cannot be decoded is refused");
}

function isAnswered(answer: Answer): boolean {
  return answer.status === 200 && isObject(objectOf(answer)?.["result"]);
}
