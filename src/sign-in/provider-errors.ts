// Errors at an identity provider: messages for the user, which are vague, and descriptions for the log, which are exact.
import { EMAIL_ADDRESS_FORM, shortenAddress, shortenAddresses } from "../lib/email-address.ts";
import { escapeInvisible } from "../lib/visible-text.ts";

/** For every failed check between this server and the provider, so that an attacker who probes the sign-in learns nothing. */
export const VAGUE_REFUSAL =
  "The identity provider could not confirm who you are. Try again. If this happens again, tell the operator of this server.";
/** For a sign-in that the provider or the allowed organisations refuse. */
export const DENIED_REFUSAL = "The identity provider did not sign you in.";
/** For a user without a verified email address. */
export const UNVERIFIED_REFUSAL = "The identity provider has no verified email address for you.";

/** Says what is wrong: users can see their address at the provider and have it changed there. */
export const ADDRESS_REFUSAL = [
  "The identity provider sent an email address for you that this server does not accept.",
  EMAIL_ADDRESS_FORM,
  "Have it changed there, then sign in again.",
].join(" ");

/** For a provider that does not answer. */
export const UNREACHABLE_REFUSAL = "The identity provider cannot be reached at the moment. Try again in a minute.";

/** For configuration errors: only the operator can fix them, and only the log names them. */
export const CONFIGURATION_REFUSAL =
  "Sign-in is not set up correctly on this server. Tell its operator; the server's log says what is wrong.";

/**
 * How long all provider requests of one sign-in or refresh may take together; after that, the error counts as temporary. A refresh holds
 * the mutex of its grant meanwhile, so other requests for the grant must wait longer than this.
 */
const PROVIDER_TIMEOUT_MS = 15_000;

/** Creates the abort signal that all provider requests of one sign-in or refresh share. */
export function createProviderTimeout(): AbortSignal {
  return AbortSignal.timeout(PROVIDER_TIMEOUT_MS);
}

const MAX_LOGGED_CHARACTERS = 300;
/** How much text of another system is searched for email addresses. */
const MAX_READ_CHARACTERS = 2000;
/** Fields of the libraries' errors that are logged besides the message. None holds a response body or an access token. */
const DETAIL_FIELDS = ["code", "error", "error_description", "status", "claim", "reason"];

/**
 * Describes an error in one line of the log. It may hold text of another system, so everything is quoted, escaped and truncated.
 * Providers name the account in their errors, so addresses are shortened: people who read the log need not learn who signs in.
 */
export function describeError(error: unknown): string {
  if (typeof error !== "object" || error === null) return typeof error;
  const details = DETAIL_FIELDS.flatMap((name) => {
    const value: unknown = Reflect.get(error, name);
    return typeof value === "string" || typeof value === "number" ? [`${name} ${quote(value)}`] : [];
  });
  const { message, cause } = error instanceof Error ? error : { message: "", cause: undefined };
  const because = cause instanceof Error ? [`because ${describeError(cause)}`] : [];
  return [quote(message), ...details, ...because].join(", ");
}

/** Describes for the log a verified address that `parseEmailAddress` does not accept, without revealing whose it is. */
export function describeAddressFault(email: unknown): string {
  const shown = typeof email === "string" ? shortenAddress(email.slice(0, MAX_LOGGED_CHARACTERS)) : typeof email;
  return `the email address is not acceptable: ${shown}`;
}

function quote(value: string | number): string {
  if (typeof value === "number") return String(value);
  // Addresses are shortened before the text is truncated, because a truncated address would not be recognised.
  const text = shortenAddresses(value.slice(0, MAX_READ_CHARACTERS)).slice(0, MAX_LOGGED_CHARACTERS);
  return escapeInvisible(JSON.stringify(text));
}
