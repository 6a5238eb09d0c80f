// Tells a fault of the settings from a fault of the network or of a user: an OpenID Connect issuer that calls itself by another name
// than OIDC_ISSUER leads to. Waiting mends it as little as signing in again does, so the log names both values for the operator.

/** An answer that names another issuer than was asked. */
export class IssuerMismatchError extends Error {
  readonly expected: string;
  readonly actual: string;

  constructor(expected: string, actual: string) {
    super("the answer names another issuer");
    this.name = "IssuerMismatchError";
    this.expected = expected;
    this.actual = actual;
  }
}

/** Both issuers, quoted, where that is what an error of the sign-in is about; undefined for any other error. */
export function describeIssuerMismatch(error: unknown): string | undefined {
  const mismatch = findMismatch(error);
  if (mismatch === undefined) return undefined;
  const { expected, actual } = mismatch;
  return `configuration fault: OIDC_ISSUER leads to the issuer ${quote(expected)}, which calls itself ${quote(actual)}`;
}

/** For a connection of an issuer that an operator has replaced. */
export function describeReplacedIssuer(before: string, now: string): string {
  return `it is of the issuer ${quote(before)}, and the settings name ${quote(now)}`;
}

/** The libraries give both values in the cause of an error: in that of discovery at once, in that of an ID token one level down. */
function findMismatch(error: unknown): { readonly expected: string; readonly actual: unknown } | undefined {
  if (error instanceof IssuerMismatchError) return error;
  for (let cause = causeOf(error); typeof cause === "object" && cause !== null; cause = causeOf(cause)) {
    const expected: unknown = Reflect.get(cause, "expected");
    if (typeof expected !== "string") continue;
    if (Reflect.get(cause, "attribute") === "issuer") return { expected, actual: memberOf(cause, "body", "issuer") };
    if (Reflect.get(cause, "claim") === "iss") return { expected, actual: memberOf(cause, "claims", "iss") };
  }
  return undefined;
}

function causeOf(value: unknown): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, "cause") : undefined;
}

function memberOf(holder: object, object: string, member: string): unknown {
  return Reflect.get(Object(Reflect.get(holder, object)), member);
}

const MAX_CHARACTERS = 300;

/** Another system's text: quoted and cut. */
function quote(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value.slice(0, MAX_CHARACTERS)) : typeof value;
}
