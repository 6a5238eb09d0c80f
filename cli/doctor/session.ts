// Checks the handshakes of both eras with the access token in GATEHOUSE_TOKEN, and calls tools for other checks. It sends the access
// token only to the examined URL.
import { setTimeout as wait } from "node:timers/promises";
import { fine, problem, quote } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { isObject, objectOf, texts } from "./http.ts";
import type { Answer, Send } from "./http.ts";
import { OPENINGS, headersOf, message2026 } from "./messages.ts";
import type { Target } from "./target.ts";

const MAX_WAIT_SECONDS = 120;

/** Sends a message to the endpoint with the access token. */
export type Post = (message: object, headers: Record<string, string>, method?: string) => Promise<Answer>;

/** Creates a sender that adds the access token, and waits as long as `Retry-After` says when a rate limit is reached (429). */
export function createPost({ resource }: Target, token: string, send: Send): Post {
  return async (message, headers, method = "POST") => {
    const authorization = `Bearer ${token}`;
    const body = method === "POST" ? { body: JSON.stringify(message) } : {};
    for (;;) {
      const answer = await send(resource, { method, headers: { ...headers, authorization }, ...body });
      const seconds = Number(answer.headers.get("retry-after") ?? Number.NaN);
      if (answer.status !== 429 || !(seconds <= MAX_WAIT_SECONDS)) return answer;
      await wait(seconds * 1000);
    }
  };
}

const NEW_TOKEN = "Get a new one: it may have expired (after an hour), been revoked, or be for another server.";

/** Opens a session in the 2025 era and discovers the server in the 2026 era. */
export async function examineHandshakes(post: Post): Promise<readonly Finding[]> {
  return [await handshake2025(post), await handshake2026(post)];
}

async function handshake2025(post: Post): Promise<Finding> {
  const check = "handshake (2025)";
  const opened = await post(OPENINGS["2025"], headersOf("2025"));
  const session = opened.headers.get("mcp-session-id");
  const refusal = refusalOf(check, opened);
  if (refusal !== undefined) return refusal;
  if (session === null)
    return problem(check, "no session was opened", "A rule or proxy in front removes the Mcp-Session-Id header.");
  const headers = { ...headersOf("2025"), "mcp-session-id": session, "mcp-protocol-version": "2025-11-25" };
  const ready = await post({ jsonrpc: "2.0", method: "notifications/initialized" }, headers);
  const listed = await post({ jsonrpc: "2.0", id: 2, method: "tools/list" }, headers);
  const tools = toolsOf(listed);
  const ended = await post({}, headers, "DELETE");
  if (ready.status !== 202 || !tools.includes("query"))
    return problem(
      check,
      `the session does not work (${ready.status}, ${listed.status})`,
      "The Worker's log (npx wrangler tail) says why.",
    );
  if (ended.status >= 300)
    return problem(
      check,
      `the session could not be ended (${ended.status})`,
      "A rule or proxy in front refuses DELETE.",
    );
  return fine(check, `a session opens, lists ${tools.length} tools and ends`);
}

async function handshake2026(post: Post): Promise<Finding> {
  const check = "handshake (2026)";
  const opened = await post(OPENINGS["2026"], headersOf("2026"));
  const refusal = refusalOf(check, opened);
  if (refusal !== undefined) return refusal;
  const versions = texts(resultOf(opened)["supportedVersions"]);
  const tools = toolsOf(await post(message2026("tools/list"), headersOf("2026", "tools/list")));
  if (versions.includes("2026-07-28") && tools.includes("query"))
    return fine(check, `discovery works and lists ${tools.length} tools`);
  return problem(
    check,
    `it speaks ${quote(versions.join(", "))} and lists ${quote(tools.join(", "))}`,
    "Deploy this repository again.",
  );
}

function refusalOf(check: string, { status }: Answer): Finding | undefined {
  if (status === 401) return problem(check, "the access token is not accepted", NEW_TOKEN);
  if (status === 403) return problem(check, "the access token may not read (403)", NEW_TOKEN);
  if (status !== 200) return problem(check, `it answers ${status}`, "The Worker's log (npx wrangler tail) says why.");
  return undefined;
}

/** The result of a JSON-RPC answer; empty when it has none. */
export function resultOf(answer: Answer): Readonly<Record<string, unknown>> {
  const result = objectOf(answer)?.["result"];
  return isObject(result) ? result : {};
}

function toolsOf(answer: Answer): readonly string[] {
  const { tools } = resultOf(answer);
  return Array.isArray(tools) ? tools.filter(isObject).map(({ name }) => String(name)) : [];
}

/** Calls a tool as a client of the 2026 revision does. */
export async function callTool(post: Post, name: string, args: object): Promise<Answer> {
  return post(message2026("tools/call", { name, arguments: args }), headersOf("2026", "tools/call", name));
}
