// Malformed parameters of a request, in both eras. The SDK answers them with "internal error" and the validator's dump; here they
// become "invalid params", with the place that is wrong. Only the SDK's errors are replaced: what it serves is not judged here.
import { specTypeSchemas } from "@modelcontextprotocol/server";
import { RPC } from "./json-rpc.ts";

/** What a validator says of a place in a request. */
interface Issue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

interface RequestSchema {
  readonly "~standard": { readonly validate: (value: unknown) => { readonly issues?: readonly Issue[] | undefined } };
}

export interface InvalidParamsError {
  readonly code: number;
  readonly message: string;
}

const SCHEMAS: ReadonlyMap<unknown, RequestSchema> = new Map<unknown, RequestSchema>([
  ["tools/list", specTypeSchemas.ListToolsRequest],
  ["tools/call", specTypeSchemas.CallToolRequest],
  ["prompts/list", specTypeSchemas.ListPromptsRequest],
  ["prompts/get", specTypeSchemas.GetPromptRequest],
  ["resources/list", specTypeSchemas.ListResourcesRequest],
  ["resources/templates/list", specTypeSchemas.ListResourceTemplatesRequest],
  ["resources/read", specTypeSchemas.ReadResourceRequest],
  ["resources/subscribe", specTypeSchemas.SubscribeRequest],
  ["resources/unsubscribe", specTypeSchemas.UnsubscribeRequest],
  ["completion/complete", specTypeSchemas.CompleteRequest],
  ["logging/setLevel", specTypeSchemas.SetLevelRequest],
  ["ping", specTypeSchemas.PingRequest],
]);
/** The codes that the SDK gives to a request that does not fit its schema. */
const REPLACED: ReadonlySet<unknown> = new Set([RPC.internalError, RPC.invalidParams]);
const MAX_MESSAGE_LENGTH = 300;

/**
 * The error for a request whose parameters do not fit its method; undefined when they do, or the method is none of the protocol.
 * The message names places and types, never a value that was sent.
 */
export function findInvalidParams(request: unknown): InvalidParamsError | undefined {
  if (!isRecord(request)) return undefined;
  const issue = SCHEMAS.get(request["method"])?.["~standard"].validate(request).issues?.[0];
  if (issue === undefined) return undefined;
  const place = (issue.path ?? []).map((step) => String(typeof step === "object" ? step.key : step)).join(".");
  const message = `Invalid params for ${String(request["method"])}: ${place}: ${issue.message}`;
  return { code: RPC.invalidParams, message: message.slice(0, MAX_MESSAGE_LENGTH) };
}

/** The answer to a request, where an error that malformed parameters caused says so. */
export function withInvalidParams<Response extends object>(request: unknown, response: Response): Response {
  if (!isReplaced(response)) return response;
  const error = findInvalidParams(request);
  return error === undefined ? response : { ...response, error };
}

/** The same for a response over HTTP. One that streams began to be served, so its request was well formed. */
export async function withInvalidParamsOverHttp(request: unknown, response: Response): Promise<Response> {
  if (findInvalidParams(request) === undefined) return response;
  if (response.headers.get("Content-Type")?.startsWith("application/json") !== true) return response;
  const { status, headers } = response;
  const body: unknown = await response.json();
  const answer = isRecord(body) ? withInvalidParams(request, body) : body;
  const kept = new Headers(headers);
  kept.delete("Content-Length");
  return new Response(JSON.stringify(answer), { status, headers: kept });
}

function isReplaced(response: object): boolean {
  return "error" in response && isRecord(response.error) && REPLACED.has(response.error["code"]);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
