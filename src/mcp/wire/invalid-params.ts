// Rewrites the SDK's errors for malformed parameters, in both eras. The SDK answers "internal error" with the validator's
// dump; the client gets "invalid params" with the path that is wrong. Successful responses are not validated here.
import { cutText } from "../../lib/text-cut.ts";
import { specTypeSchemas } from "@modelcontextprotocol/server";
import { RPC } from "./json-rpc.ts";

/** A validator's complaint about one path of a request. */
interface Issue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

interface RequestSchema {
  readonly "~standard": { readonly validate: (value: unknown) => { readonly issues?: readonly Issue[] | undefined } };
}

/** A JSON-RPC error object for malformed parameters. */
interface InvalidParamsError {
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
/** The SDK's error codes for a request that does not match its schema. */
const REPLACED_CODES: ReadonlySet<unknown> = new Set([RPC.internalError, RPC.invalidParams]);
const MAX_MESSAGE_LENGTH = 300;

/**
 * Returns the error for a request whose parameters do not match its method; undefined when they match or the method is
 * unknown. The message names paths and types, never a value from the request.
 */
function findInvalidParams(request: unknown): InvalidParamsError | undefined {
  if (!isRecord(request)) return undefined;
  const issue = SCHEMAS.get(request["method"])?.["~standard"].validate(request).issues?.[0];
  if (issue === undefined) return undefined;
  const path = (issue.path ?? []).map((step) => String(typeof step === "object" ? step.key : step)).join(".");
  const message = `Invalid params for ${String(request["method"])}: ${path}: ${issue.message}`;
  return { code: RPC.invalidParams, message: cutText(message, MAX_MESSAGE_LENGTH) };
}

/** Returns the response, or a copy with a precise error when malformed parameters caused the SDK's error. */
export function withInvalidParams<Response extends object>(request: unknown, response: Response): Response {
  if (!hasReplacedError(response)) return response;
  const error = findInvalidParams(request);
  return error === undefined ? response : { ...response, error };
}

/** Does the same for an HTTP response. A streamed response is left alone: only a well-formed request starts a stream. */
export async function withInvalidParamsOverHttp(request: unknown, response: Response): Promise<Response> {
  if (findInvalidParams(request) === undefined) return response;
  if (response.headers.get("Content-Type")?.startsWith("application/json") !== true) return response;
  const { status, headers } = response;
  const body: unknown = await response.json();
  const rewrittenBody = isRecord(body) ? withInvalidParams(request, body) : body;
  const rewrittenHeaders = new Headers(headers);
  rewrittenHeaders.delete("Content-Length");
  return new Response(JSON.stringify(rewrittenBody), { status, headers: rewrittenHeaders });
}

function hasReplacedError(response: object): boolean {
  return "error" in response && isRecord(response.error) && REPLACED_CODES.has(response.error["code"]);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
