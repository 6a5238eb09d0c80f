// Formats tool results and errors for the client. Only here does a failure of the server definition become text; anything
// other than an AppError becomes "Internal error" with an id that is also in the log.
import { ProtocolError, ProtocolErrorCode, ResourceNotFoundError } from "@modelcontextprotocol/server";
import type { CallToolResult } from "@modelcontextprotocol/server";
import { AppError } from "../../errors.ts";
import type { ErrorCode } from "../../errors.ts";

/** Logs a defect under an id. */
type LogDefect = (id: string, error: unknown) => void;

/** Reports defects that the client must not see. */
export interface ErrorReporter {
  readonly newId: () => string;
  readonly logDefect: LogDefect;
}

interface PublicError {
  readonly code: ErrorCode;
  readonly message: string;
}

/**
 * Builds a result as `structuredContent` and as the same JSON in text content. Revisions before 2025-06-18 define only text
 * content; clients that read both show one of them.
 */
export function jsonResult(structured: object): CallToolResult {
  return { content: [{ type: "text", text: JSON.stringify(structured) }], structuredContent: { ...structured } };
}

/** Builds the result of a failed tool call: the model sees the code, the problem and the next step. */
export function toolError(error: unknown, reporter: ErrorReporter): CallToolResult {
  const publicError = toPublicError(error, reporter);
  return {
    content: [{ type: "text", text: `${publicError.code}: ${publicError.message}` }],
    structuredContent: { error: publicError },
    isError: true,
  };
}

/** Maps the failure of a resource, prompt or completion request to a protocol error. */
export function resourceError(error: unknown, uri: string, reporter: ErrorReporter): ProtocolError {
  const { code, message } = toPublicError(error, reporter);
  switch (code) {
    case "not_found":
      return new ResourceNotFoundError(uri, message);
    case "invalid_input":
    case "not_signed_in":
    case "not_allowed":
    case "paused":
    case "query_refused":
    case "query_failed":
      return new ProtocolError(ProtocolErrorCode.InvalidParams, message);
    case "conflict":
    case "limit_reached":
    case "record_full":
    case "interrupted":
    case "source_unavailable":
    case "internal":
      return new ProtocolError(ProtocolErrorCode.InternalError, message);
  }
}

function toPublicError(error: unknown, { newId, logDefect }: ErrorReporter): PublicError {
  if (error instanceof AppError) {
    // The source's own error text goes only to the log.
    if (error.code === "source_unavailable") logDefect(error.code, error.cause ?? error);
    return { code: error.code, message: error.publicMessage };
  }
  const id = newId();
  logDefect(id, error);
  return { code: "internal", message: `Internal error ${id}. Report this id to the operator of this server.` };
}
