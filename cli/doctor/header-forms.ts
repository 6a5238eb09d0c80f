// Checks that the server takes every form of a header that HTTP allows and clients send: Accept in the 2025 era, and encoded values in
// the 2026 era. Needs an access token.
import { fine, problem, quote } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { isObject, objectOf } from "./http.ts";
import type { Answer } from "./http.ts";
import { OPENINGS, headersOf, message2026 } from "./messages.ts";
import type { Post } from "./session.ts";

/** Node's fetch cannot send a request without Accept; the server treats an empty value the same way. */
const ACCEPTS = ["", "*/*", "application/json", "application/*", "Application/JSON, Text/Event-Stream"];
const MEND =
  "Deploy a current version of this repository. If it is current, look for rules in front of the Worker that change headers.";

/** Runs the checks of Accept and of encoded header values. */
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
  if (refused.length === 0) return fine(check, "every form of the header is served");
  return problem(check, `clients cannot connect if their Accept is ${refused.join(", ")}`, MEND);
}

async function examineEncodedName(post: Post): Promise<Finding> {
  const check = "encoded headers (2026)";
  const call = async (name: string): Promise<Answer> =>
    post(message2026("tools/call", { name: "describe", arguments: {} }), headersOf("2026", "tools/call", name));
  const encoded = await call(`=?base64?${btoa("describe")}?=`);
  if (!isAnswered(encoded)) return problem(check, `a tool is not found by its encoded name (${encoded.status})`, MEND);
  const broken = await call("=?base64?%?=");
  if (broken.status !== 400) return problem(check, `an undecodable name gets ${broken.status}, not 400`, MEND);
  return fine(check, "encoded names are read like plain ones; undecodable names are refused");
}

function isAnswered(answer: Answer): boolean {
  return answer.status === 200 && isObject(objectOf(answer)?.["result"]);
}
