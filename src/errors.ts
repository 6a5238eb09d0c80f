// The one error type that may reach a person, with a closed set of codes. Everything else thrown is a defect and is
// shown as "internal" only.

/** Every code a caller can see. `docs/errors.md` explains each and the next step; a test compares the two. */
export const ERROR_CODES = [
  "invalid_input",
  "not_found",
  "not_signed_in",
  "not_allowed",
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
  /** Whether it says that a name is not there for this person: another role might see it. */
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
