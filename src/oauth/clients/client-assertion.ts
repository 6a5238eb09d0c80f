// Authenticates clients that sign (`private_key_jwt`, RFC 7523 §3) before the OAuth provider sees the request. Only clients with
// a metadata document can sign, because their keys are in it.
import { createLocalJWKSet, decodeJwt, errors, jwtVerify } from "jose";
import type { JSONWebKeySet, JWTPayload, JWTVerifyOptions } from "jose";
import * as z from "zod";
import { sha256Hex } from "../../lib/crypto.ts";
import type { GrantStore } from "../grants/kv-contract.ts";
import type { ClientDocuments } from "./client-documents.ts";
import { isDocumentUrl } from "./document-url.ts";
import { FetchFault } from "./strict-fetch.ts";
import type { ClientDocument } from "./metadata-document.ts";

interface AssertionContext {
  readonly documents: ClientDocuments;
  /** Stores the ids of used assertions. */
  readonly store: GrantStore;
  /** The audience of an assertion must be the issuer or the token endpoint. */
  readonly issuer: string;
  readonly tokenEndpoint: string;
  readonly now: () => number;
  readonly log: (message: string) => void;
}

/** The outcome for a request to the token endpoint. A `plain` request, without a usable assertion, goes to the provider unchanged. */
type Authentication =
  | { readonly kind: "plain" }
  | { readonly kind: "refused" }
  | { readonly kind: "authenticated"; readonly clientId: string; readonly body: URLSearchParams };

const ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const PARAMETERS = ["client_id", "client_assertion", "client_assertion_type"];
const ALGORITHMS = ["ES256", "RS256"];
const MAX_CHARACTERS = 16 * 1024;
const CLOCK_TOLERANCE_SECONDS = 60;
/** The longest accepted lifetime of an assertion, which limits how long its id must be stored. */
const MAX_LIFETIME_SECONDS = 3600;
const jwksSchema = z.looseObject({ keys: z.array(z.looseObject({ kty: z.string() })) });
const expirySchema = z.object({ exp: z.int(), jti: z.string().min(1) });

/**
 * Authenticates the client by the assertion in a form. A form with a second credential, or with one of them twice, goes to the
 * provider, which refuses it. Throws `CimdFetchError` when the document cannot be fetched, and `AuthorizationError` for one of
 * two concurrent uses of the same assertion.
 */
export async function authenticate(form: URLSearchParams, context: AssertionContext): Promise<Authentication> {
  const assertion = form.get("client_assertion") ?? "";
  const clientId = form.get("client_id") ?? readIssuer(assertion);
  const isMixed = form.has("client_secret") || PARAMETERS.some((name) => form.getAll(name).length > 1);
  if (assertion === "" || isMixed || !isDocumentUrl(clientId)) return { kind: "plain" };
  const document = await context.documents.resolve(clientId);
  if (document === null) return { kind: "plain" };
  try {
    if (form.get("client_assertion_type") !== ASSERTION_TYPE)
      throw new FetchFault("its client_assertion_type is unknown");
    await verify(assertion, document, context);
  } catch (error) {
    if (!(error instanceof errors.JOSEError || error instanceof FetchFault)) throw error;
    context.log(`oauth: the assertion of ${clientId} was refused: ${error.message}`);
    return { kind: "refused" };
  }
  const body = new URLSearchParams(form);
  body.delete("client_assertion");
  body.delete("client_assertion_type");
  body.set("client_id", clientId);
  return { kind: "authenticated", clientId, body };
}

/** Reads the issuer without verification, only to find the document whose keys verify the assertion. */
function readIssuer(assertion: string): string {
  try {
    return decodeJwt(assertion).iss ?? "";
  } catch {
    // Not a JWT; the provider refuses it.
    return "";
  }
}

async function verify(
  assertion: string,
  { clientId, authentication, keys }: ClientDocument,
  context: AssertionContext,
) {
  if (!authentication.includes("private_key_jwt") || keys === undefined)
    throw new FetchFault("its document does not offer private_key_jwt");
  if (assertion.length > MAX_CHARACTERS) throw new FetchFault("it is too long");
  const keySet = "jwks" in keys ? keys.jwks : await fetchKeySet(keys.jwksUri, context.documents);
  const { payload, protectedHeader } = await verifySignature(assertion, keySet, {
    algorithms: ALGORITHMS,
    issuer: clientId,
    subject: clientId,
    audience: [context.issuer, context.tokenEndpoint],
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
    currentDate: new Date(context.now()),
  });
  requireType(protectedHeader.typ, payload, context.issuer);
  await recordUse(clientId, payload, context);
}

/**
 * Verifies the signature and claims. Throws `JOSEError`, or `FetchFault` for a key that the platform cannot import: the key set
 * is untrusted, so a key that is not a point on its curve must refuse this client and not become a 500.
 */
async function verifySignature(assertion: string, keySet: JSONWebKeySet, options: JWTVerifyOptions) {
  try {
    return await jwtVerify(assertion, createLocalJWKSet(keySet), options);
  } catch (error) {
    if (error instanceof errors.JOSEError) throw error;
    throw new FetchFault("its key cannot be imported", { cause: error });
  }
}

async function fetchKeySet(jwksUri: string, documents: ClientDocuments): Promise<JSONWebKeySet> {
  const parsed = jwksSchema.safeParse(await documents.fetchKeys(jwksUri));
  if (!parsed.success) throw new FetchFault("its jwks_uri returns no key set");
  return parsed.data;
}

/**
 * Refuses JWTs of another type (RFC 8725 §3.11). An assertion with the explicit type must name only the issuer as its
 * audience.
 */
function requireType(type: string | undefined, { aud }: JWTPayload, issuer: string): void {
  const jwtType = type?.toLowerCase().replace(/^application\//, "") ?? "jwt";
  if (jwtType === "client-authentication+jwt" ? aud !== issuer : jwtType !== "jwt")
    throw new FetchFault("it is not a client assertion for this server");
}

/** Stores the id of the assertion until it expires, so that it cannot be replayed. */
async function recordUse(clientId: string, payload: JWTPayload, { store, now }: AssertionContext): Promise<void> {
  const parsed = expirySchema.safeParse(payload);
  if (!parsed.success) throw new FetchFault("it has no exp or jti");
  const { exp, jti } = parsed.data;
  const remainingSeconds = exp - Math.floor(now() / 1000);
  if (remainingSeconds > MAX_LIFETIME_SECONDS) throw new FetchFault("its exp is too far away");
  const key = `client-assertion-jti:${await sha256Hex(`${clientId}\n${jti}`)}`;
  if ((await store.get(key)) !== null) throw new FetchFault("it was used before");
  // The store refuses the second of two concurrent puts.
  await store.put(key, "1", { expirationTtl: Math.max(60, remainingSeconds + CLOCK_TOLERANCE_SECONDS) });
}
