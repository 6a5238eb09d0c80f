// What went wrong at an identity provider: exact for the log, vague for the person.
import { EMAIL_ADDRESS_FORM, shortenAddress, shortenAddresses } from "../lib/email-address.ts";
import { escapeInvisible } from "../lib/visible-text.ts";

/** For everything between us and the provider: who probes the sign-in learns nothing of its checks. */
export const VAGUE_REFUSAL =
  "The identity provider could not confirm who you are. Try again; if it stays so, tell whoever runs this server.";
export const DENIED_REFUSAL = "The identity provider did not sign you in.";
export const UNVERIFIED_REFUSAL = "The identity provider does not know a verified email address of yours.";

/** Told plainly: the person sees their address at the provider anyway, and can have it changed there. */
export const ADDRESS_REFUSAL = `The identity provider gave an email address of yours that this server cannot take. ${EMAIL_ADDRESS_FORM} Have it changed there, then sign in again.`;

export const UNREACHABLE_REFUSAL = "The identity provider cannot be reached at the moment. Try again in a minute.";

/** For faults of the settings: trying again does not help, and what is wrong concerns the operator alone. */
export const CONFIGURATION_REFUSAL =
  "The sign-in of this server is not set up correctly. Tell the people who run this server; its log says what is wrong.";

/**
 * How long all requests to a provider may take together, for one sign-in or one refresh; longer counts as a passing fault. A
 * refresh holds its grant meanwhile, so whatever serialises refreshes must wait longer.
 */
const PROVIDER_MS = 15_000;

/** For all requests of one sign-in or refresh. */
export function providerDeadline(): AbortSignal {
  return AbortSignal.timeout(PROVIDER_MS);
}

const MAX_CHARACTERS = 300;
/** Of another system's text, in which addresses are looked for. */
const MAX_READ_CHARACTERS = 2000;
/** What errors of the libraries carry besides their message; bodies and tokens are in none of these. */
const DETAILS = ["code", "error", "error_description", "status", "claim", "reason"];

/**
 * An error for one line of the log. Parts of it may be another system's text, so everything is quoted, escaped and cut. Providers name
 * the account in their errors, so addresses are shortened: a log is read by more people than may know who signs in.
 */
export function describeFault(error: unknown): string {
  if (typeof error !== "object" || error === null) return typeof error;
  const details = DETAILS.flatMap((name) => {
    const value: unknown = Reflect.get(error, name);
    return typeof value === "string" || typeof value === "number" ? [`${name} ${quoted(value)}`] : [];
  });
  const { message, cause } = error instanceof Error ? error : { message: "", cause: undefined };
  const because = cause instanceof Error ? [`because ${describeFault(cause)}`] : [];
  return [quoted(message), ...details, ...because].join(", ");
}

/** For the log: a verified address that `parseEmailAddress` does not take, without saying whose it is. */
export function describeAddressFault(email: unknown): string {
  const got = typeof email === "string" ? shortenAddress(email.slice(0, MAX_CHARACTERS)) : typeof email;
  return `the email address cannot be taken: ${got}`;
}

function quoted(value: string | number): string {
  if (typeof value === "number") return String(value);
  // Cut last: half of an address would not be seen as one.
  const text = shortenAddresses(value.slice(0, MAX_READ_CHARACTERS)).slice(0, MAX_CHARACTERS);
  return escapeInvisible(JSON.stringify(text));
}
