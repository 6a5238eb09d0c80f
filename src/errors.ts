// The only error type whose message may reach a caller, with a closed set of codes. Any other thrown error is a defect, and
// callers see it only as "internal".

/** Lists every code that a caller can see. `docs/errors.md` explains each and its next step; a test compares the two. */
export const ERROR_CODES = [
  "invalid_input",
  "not_found",
  "not_signed_in",
  "not_allowed",
  "query_refused",
  "query_failed",
  "limit_reached",
  "conflict",
  "record_full",
  "paused",
  "interrupted",
  "source_unavailable",
  "internal",
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/**
 * Reports a failure that the caller can act on. We write `publicMessage` for the caller: it never contains a value from a
 * source or another system's text. `cause` goes to the log only.
 */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly publicMessage: string;
  /** Whether the message says that a name does not exist for this user; another role might see it. */
  readonly isMissing: boolean;

  constructor(
    code: ErrorCode,
    publicMessage: string,
    { cause, isMissing = false }: { readonly cause?: unknown; readonly isMissing?: boolean } = {},
  ) {
    super(publicMessage, cause === undefined ? {} : { cause });
    this.isMissing = isMissing;
    this.name = "AppError";
    this.code = code;
    this.publicMessage = publicMessage;
  }
}
