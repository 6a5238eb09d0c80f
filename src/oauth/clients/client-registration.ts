// Limits and cleans registration requests before the OAuth provider stores them: anyone may send one. Optional metadata that
// this server cannot use is dropped instead of refused (RFC 7591 §2, §3.2.1: the response says what was registered).
import { readBodyText } from "../../lib/body.ts";
import { describeInvisibleName } from "./client-names.ts";
import { createOAuthErrorResponse } from "../grants/oauth-error-response.ts";
import { isUsableRedirectUri } from "./redirect-uri.ts";

/** How long a client that never gets an access token is stored. The response states it as the expiry of the client's secret. */
export const UNUSED_CLIENT_SECONDS = 7 * 24 * 3600;

const MAX_BODY_BYTES = 16 * 1024;
const MAX_NAME_CHARACTERS = 100;
/** The limit for redirect URIs, and separately for URIs of pages and images in all languages. */
const MAX_URIS = 20;

/** The supported entries of the lists in which clients name all their capabilities. */
const SUPPORTED_CHOICES: Readonly<Record<string, readonly string[]>> = {
  grant_types: ["authorization_code", "refresh_token"],
  response_types: ["code"],
};

type Metadata = Readonly<Record<string, unknown>>;

/**
 * Limits and cleans a registration: null counts as absent, and unknown grant types, unknown response types and unusable
 * redirect URIs are dropped. Returns the request for the provider, or the refusal: 413 when it is too large, 400
 * `invalid_client_metadata` when a text has an invisible character, a name is too long, there are too many URIs, or no
 * redirect URI is usable. The provider refuses anything else that is invalid.
 */
export async function prepareRegistration(
  request: Request,
  allowedSchemes: readonly string[],
): Promise<Request | Response> {
  if (request.method !== "POST") return request;
  const text = await readBodyText(request, MAX_BODY_BYTES);
  if (text === undefined) {
    const description = `A registration can have at most ${MAX_BODY_BYTES} bytes`;
    return createOAuthErrorResponse(request, { status: 413, error: "invalid_request", description });
  }
  const metadata = parseMetadata(text);
  const cleanedMetadata = metadata === undefined ? undefined : omitEmptyMembers(metadata);
  const problem = cleanedMetadata === undefined ? undefined : findProblem(cleanedMetadata, allowedSchemes);
  if (problem !== undefined)
    return createOAuthErrorResponse(request, { status: 400, error: "invalid_client_metadata", description: problem });
  const headers = [...request.headers].filter(([name]) => name.toLowerCase() !== "content-length");
  const body =
    cleanedMetadata === undefined ? text : JSON.stringify(filterSupportedMetadata(cleanedMetadata, allowedSchemes));
  return new Request(request.url, { method: "POST", headers, body });
}

/** Parses the body; undefined when it is not a JSON object, which the provider refuses with its own message. */
function parseMetadata(text: string): Metadata | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined;
}

/** Drops empty members: client libraries send unset members as null, and unset URIs as an empty string. */
function omitEmptyMembers(metadata: Metadata): Metadata {
  return Object.fromEntries(
    Object.entries(metadata).filter(([name, value]) => value !== null && !(value === "" && isPageUri(name))),
  );
}

/** Whether a member holds the URI of a page, an image or keys, such as `client_uri` or the translated `logo_uri#ja` (RFC 7591 §2.2). */
function isPageUri(member: string): boolean {
  return /_uri(?:#|$)/.test(member);
}

/** Says why the registration is refused; undefined when it can go to the provider. */
function findProblem(metadata: Metadata, allowedSchemes: readonly string[]): string | undefined {
  const members = Object.entries(metadata);
  const invisibleNameProblem = describeInvisibleName(metadata);
  if (invisibleNameProblem !== undefined) return invisibleNameProblem;
  if (members.some(([name, value]) => /^client_name(?:#|$)/.test(name) && isTooLong(value)))
    return `A client_name can have at most ${MAX_NAME_CHARACTERS} characters`;
  if (members.filter(([name]) => isPageUri(name)).length > MAX_URIS)
    return `A client can have at most ${MAX_URIS} URIs of pages and images`;
  const { redirect_uris: requestedUris } = metadata;
  if (!Array.isArray(requestedUris)) return undefined;
  if (requestedUris.length > MAX_URIS) return `A client can have at most ${MAX_URIS} redirect_uris`;
  if (requestedUris.length === 0 || requestedUris.some((uri) => isUsableRedirectUri(uri, allowedSchemes)))
    return undefined;
  return `None of the redirect_uris is usable: ${describeUsableUris(allowedSchemes)}`;
}

function isTooLong(value: unknown): boolean {
  // Counts code points, so that an emoji is one character.
  return typeof value === "string" && Array.from(value).length > MAX_NAME_CHARACTERS;
}

function describeUsableUris(allowedSchemes: readonly string[]): string {
  const schemes = allowedSchemes.length === 0 ? "" : `, or one of the schemes ${allowedSchemes.join(", ")}`;
  return `use https, http on localhost${schemes}, without user name, fragment, spaces or invisible characters`;
}

/** Drops redirect URIs, grant types and response types that this server cannot use. */
function filterSupportedMetadata(metadata: Metadata, allowedSchemes: readonly string[]): Metadata {
  return Object.fromEntries(
    Object.entries(metadata).map(([name, value]) => {
      if (!Array.isArray(value)) return [name, value];
      if (name === "redirect_uris") return [name, value.filter((uri) => isUsableRedirectUri(uri, allowedSchemes))];
      const supported = SUPPORTED_CHOICES[name];
      // An entry that is not text is an error, so it stays for the provider to refuse.
      const isSupported = (choice: unknown): boolean =>
        typeof choice !== "string" || supported?.includes(choice) === true;
      return [name, supported === undefined ? value : value.filter(isSupported)];
    }),
  );
}
