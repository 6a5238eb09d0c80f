// Forms what leaves: results for the model, and errors from the closed set. The only place where a failure becomes text
// for a client; anything that is not an AppError becomes "Internal error" with an id that the log has too.
import { ProtocolError, ProtocolErrorCode, ResourceNotFoundError } from "@modelcontextprotocol/server";
import type { CallToolResult } from "@modelcontextprotocol/server";
import { AppError } from "../errors.ts";
import type { ErrorCode } from "../errors.ts";

/** Logs a defect under an id and returns nothing of it. */
export type LogDefect = (id: string, error: unknown) => void;

export interface ErrorReporter {
  readonly newId: () => string;
  readonly logDefect: LogDefect;
}

interface PublicError {
  readonly code: ErrorCode;
  readonly message: string;
}

/**
 * A result as `structuredContent`, and as the same JSON in the text: revisions before 2025-06-18 know only the text, and
 * clients that know both show one of them.
 */
export function jsonResult(structured: object): CallToolResult {
  return { content: [{ type: "text", text: JSON.stringify(structured) }], structuredContent: { ...structured } };
}

/** A failed tool call: the model sees the code, what was wrong and what would be right. */
export function toolError(error: unknown, reporter: ErrorReporter): CallToolResult {
  const shown = publicError(error, reporter);
  return {
    content: [{ type: "text", text: `${shown.code}: ${shown.message}` }],
    structuredContent: { error: shown },
    isError: true,
  };
}

/** A failed resource request, as the protocol error that fits it. */
export function resourceError(error: unknown, uri: string, reporter: ErrorReporter): ProtocolError {
  const shown = publicError(error, reporter);
  switch (shown.code) {
    case "not_found":
      return new ResourceNotFoundError(uri, shown.message);
    case "invalid_input":
    case "not_signed_in":
    case "not_allowed":
    case "query_refused":
    case "query_failed":
      return new ProtocolError(ProtocolErrorCode.InvalidParams, shown.message);
    case "limit_reached":
    case "record_full":
    case "interrupted":
    case "source_unavailable":
    case "internal":
      return new ProtocolError(ProtocolErrorCode.InternalError, shown.message);
  }
}

function publicError(error: unknown, { newId, logDefect }: ErrorReporter): PublicError {
  if (error instanceof AppError) {
    // What a source said is for the log alone.
    if (error.code === "source_unavailable") logDefect(error.code, error.cause ?? error);
    return { code: error.code, message: error.publicMessage };
  }
  const id = newId();
  logDefect(id, error);
  return { code: "internal", message: `Internal error ${id}. Tell whoever runs this server.` };
}
