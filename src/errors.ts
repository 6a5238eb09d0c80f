// The one error type that may reach a person, with a closed set of codes. Everything else thrown is a defect and is
// shown as "internal" only.

/** Every code a caller can see. `docs/errors.md` explains each and the next step; a test compares the two. */
export const ERROR_CODES = [
  "invalid_input",
  "not_found",
  "query_refused",
  "query_failed",
  "limit_reached",
  "record_full",
  "interrupted",
  "source_unavailable",
  "internal",
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/**
 * A failure that its reader can act on. `publicMessage` is written by us for the caller: it never holds a value from a
 * source or the text of another system. `cause` stays inside, for the log.
 */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly publicMessage: string;

  constructor(code: ErrorCode, publicMessage: string, options: { readonly cause?: unknown } = {}) {
    super(publicMessage, options);
    this.name = "AppError";
    this.code = code;
    this.publicMessage = publicMessage;
  }
}
