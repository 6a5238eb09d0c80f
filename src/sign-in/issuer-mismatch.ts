// Recognises an OpenID Connect issuer that names itself differently from OIDC_ISSUER. This is a configuration error: neither waiting
// nor signing in again helps, so the log names both values for the operator.

/** A response that names a different issuer than expected. */
export class IssuerMismatchError extends Error {
  readonly expected: string;
  readonly actual: string;

  constructor(expected: string, actual: string) {
    super("the response names another issuer");
    this.name = "IssuerMismatchError";
    this.expected = expected;
    this.actual = actual;
  }
}

/** Describes an issuer mismatch with both values, quoted; undefined for any other error. */
export function describeIssuerMismatch(error: unknown): string | undefined {
  const mismatch = findMismatch(error);
  if (mismatch === undefined) return undefined;
  const { expected, actual } = mismatch;
  return `configuration fault: OIDC_ISSUER leads to the issuer ${quote(expected)}, but its response names ${quote(actual)}`;
}

/** Describes why a connection ends whose issuer the operator has replaced in the settings. */
export function describeReplacedIssuer(previousIssuer: string, currentIssuer: string): string {
  return `the connection was created with the issuer ${quote(previousIssuer)}, but the settings name ${quote(currentIssuer)}`;
}

/** Finds both values in the causes of a library's error: discovery puts them in the first cause, an ID token check one level deeper. */
function findMismatch(error: unknown): { readonly expected: string; readonly actual: unknown } | undefined {
  if (error instanceof IssuerMismatchError) return error;
  for (let cause = readCause(error); typeof cause === "object" && cause !== null; cause = readCause(cause)) {
    const expected: unknown = Reflect.get(cause, "expected");
    if (typeof expected !== "string") continue;
    if (Reflect.get(cause, "attribute") === "issuer") return { expected, actual: readMember(cause, "body", "issuer") };
    if (Reflect.get(cause, "claim") === "iss") return { expected, actual: readMember(cause, "claims", "iss") };
  }
  return undefined;
}

function readCause(value: unknown): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, "cause") : undefined;
}

function readMember(holder: object, object: string, member: string): unknown {
  return Reflect.get(Object(Reflect.get(holder, object)), member);
}

const MAX_CHARACTERS = 300;

/** Quotes and truncates text of another system. */
function quote(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value.slice(0, MAX_CHARACTERS)) : typeof value;
}
