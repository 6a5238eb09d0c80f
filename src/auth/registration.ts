// Registration requests before the OAuth provider sees them: anyone may send one, so what it stores is capped here, and a client is not
// refused for a part of its metadata that this server can leave out (RFC 7591 §2, §3.2.1: the answer says what was registered).
import { readText } from "../lib/body.ts";
import { describeInvisibleName } from "./client-names.ts";
import { refuseOAuth } from "./oauth-refusal.ts";
import { isUsableRedirectUri } from "./redirect-uri.ts";

/** How long a client is kept that never gets a token. Its secret, if it has one, is said to expire then. */
export const UNUSED_CLIENT_SECONDS = 7 * 24 * 3600;

const MAX_BODY_BYTES = 16 * 1024;
const MAX_NAME_CHARACTERS = 100;
/** Redirect URIs; and as many URIs of pages and pictures, in all languages together. */
const MAX_URIS = 20;

/** What this server can do of the lists in which clients name all that they can do. */
const SUPPORTED_CHOICES: Readonly<Record<string, readonly string[]>> = {
  grant_types: ["authorization_code", "refresh_token"],
  response_types: ["code"],
};

type Metadata = Readonly<Record<string, unknown>>;

/**
 * Caps and cleans a registration: nulls count as absent, unknown grant and response types are dropped, and so is each redirect URI that
 * could never be used, as long as one is left. Gives the request for the provider, or the refusal: 413 when it is too large, 400
 * `invalid_client_metadata` when a name is too long, when there are too many URIs, or when no redirect URI is usable. Anything else that
 * is wrong is left for the provider to refuse.
 */
export async function prepareRegistration(
  request: Request,
  allowedSchemes: readonly string[],
): Promise<Request | Response> {
  if (request.method !== "POST") return request;
  const text = await readText(request, MAX_BODY_BYTES);
  if (text === undefined) {
    const description = `A registration has at most ${MAX_BODY_BYTES} bytes`;
    return refuseOAuth(request, { status: 413, error: "invalid_request", description });
  }
  const metadata = parseMetadata(text);
  const given = metadata === undefined ? undefined : withoutEmptyMembers(metadata);
  const problem = given === undefined ? undefined : findProblem(given, allowedSchemes);
  if (problem !== undefined)
    return refuseOAuth(request, { status: 400, error: "invalid_client_metadata", description: problem });
  const headers = [...request.headers].filter(([name]) => name.toLowerCase() !== "content-length");
  const body = given === undefined ? text : JSON.stringify(narrow(given, allowedSchemes));
  return new Request(request.url, { method: "POST", headers, body });
}

/** Undefined for what is no JSON object: the provider says what is wrong with it. */
function parseMetadata(text: string): Metadata | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined;
}

/** Client libraries write members that they do not set as null, and URIs as empty text. */
function withoutEmptyMembers(metadata: Metadata): Metadata {
  return Object.fromEntries(
    Object.entries(metadata).filter(([name, value]) => value !== null && !(value === "" && isPageUri(name))),
  );
}

/** Members with a URI of a page, a picture or keys; `logo_uri#ja` is one in another language (RFC 7591 §2.2). */
function isPageUri(member: string): boolean {
  return /_uri(?:#|$)/.test(member);
}

/** What the registration is refused for, in words; undefined when the provider may look at it. */
function findProblem(metadata: Metadata, allowedSchemes: readonly string[]): string | undefined {
  const members = Object.entries(metadata);
  const invisible = describeInvisibleName(metadata);
  if (invisible !== undefined) return invisible;
  if (members.some(([name, value]) => /^client_name(?:#|$)/.test(name) && isTooLong(value)))
    return `A client_name has at most ${MAX_NAME_CHARACTERS} characters`;
  if (members.filter(([name]) => isPageUri(name)).length > MAX_URIS)
    return `There are at most ${MAX_URIS} URIs of pages`;
  const { redirect_uris: asked } = metadata;
  if (!Array.isArray(asked)) return undefined;
  if (asked.length > MAX_URIS) return `There are at most ${MAX_URIS} redirect_uris`;
  if (asked.length === 0 || asked.some((uri) => isUsableRedirectUri(uri, allowedSchemes))) return undefined;
  return `None of the redirect_uris can be used here: ${describeUsable(allowedSchemes)}`;
}

function isTooLong(value: unknown): boolean {
  // Characters are code points, as a person counts them: an emoji is one.
  return typeof value === "string" && Array.from(value).length > MAX_NAME_CHARACTERS;
}

function describeUsable(allowedSchemes: readonly string[]): string {
  const schemes = allowedSchemes.length === 0 ? "" : `, or one of the schemes ${allowedSchemes.join(", ")}`;
  return `they take https, http on localhost${schemes}, without user name, fragment, spaces or invisible characters`;
}

/** Leaves out what this server cannot use. */
function narrow(metadata: Metadata, allowedSchemes: readonly string[]): Metadata {
  return Object.fromEntries(
    Object.entries(metadata).map(([name, value]) => {
      if (!Array.isArray(value)) return [name, value];
      if (name === "redirect_uris") return [name, value.filter((uri) => isUsableRedirectUri(uri, allowedSchemes))];
      const supported = SUPPORTED_CHOICES[name];
      // What is no text at all is an error and no choice: the provider refuses it.
      const isKept = (choice: unknown): boolean => typeof choice !== "string" || supported?.includes(choice) === true;
      return [name, supported === undefined ? value : value.filter(isKept)];
    }),
  );
}
