// Authentication of a client by its signature (`private_key_jwt`, RFC 7523 §3), which only clients with a metadata document use: checked here,
// since their keys are in it.
import { createLocalJWKSet, decodeJwt, errors, jwtVerify } from "jose";
import type { JSONWebKeySet, JWTPayload, JWTVerifyOptions } from "jose";
import * as z from "zod";
import { sha256Hex } from "../../lib/crypto.ts";
import type { GrantStore } from "../grants/kv.ts";
import type { ClientDocuments } from "./client-documents.ts";
import { isDocumentUrl } from "./document-url.ts";
import { FetchFault } from "./strict-fetch.ts";
import type { ClientDocument } from "./metadata-document.ts";

export interface AssertionParts {
  readonly documents: ClientDocuments;
  /** Remembers which assertions were used. */
  readonly store: GrantStore;
  /** What an assertion may be for: the issuer, and the token endpoint. */
  readonly issuer: string;
  readonly tokenEndpoint: string;
  readonly now: () => number;
  readonly log: (message: string) => void;
}

/** What came of a request to the token endpoint. `plain` has no assertion of a client with a document, and is left to the provider. */
export type Authentication =
  | { readonly kind: "plain" }
  | { readonly kind: "refused" }
  | { readonly kind: "authenticated"; readonly clientId: string; readonly body: URLSearchParams };

const ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const PARAMETERS = ["client_id", "client_assertion", "client_assertion_type"];
const ALGORITHMS = ["ES256", "RS256"];
const MAX_CHARACTERS = 16 * 1024;
const CLOCK_TOLERANCE_SECONDS = 60;
/** How far away the end of an assertion may be: so long it must be remembered. */
const MAX_LIFETIME_SECONDS = 3600;
const jwksSchema = z.looseObject({ keys: z.array(z.looseObject({ kty: z.string() })) });
const expirySchema = z.object({ exp: z.int(), jti: z.string().min(1) });

/**
 * Checks the assertion in a form. A form that carries another credential besides, or one twice, is left to the provider, which refuses it. Throws `CimdFetchError`
 * when the document cannot be had, and `AuthorizationError` for an assertion that was used before.
 */
export async function authenticate(form: URLSearchParams, parts: AssertionParts): Promise<Authentication> {
  const assertion = form.get("client_assertion") ?? "";
  const clientId = form.get("client_id") ?? issuerOf(assertion);
  const isMixed = form.has("client_secret") || PARAMETERS.some((name) => form.getAll(name).length > 1);
  if (assertion === "" || isMixed || !isDocumentUrl(clientId)) return { kind: "plain" };
  const document = await parts.documents.resolve(clientId);
  if (document === null) return { kind: "plain" };
  try {
    if (form.get("client_assertion_type") !== ASSERTION_TYPE) throw new FetchFault("its type is not known");
    await verify(assertion, document, parts);
  } catch (error) {
    if (!(error instanceof errors.JOSEError || error instanceof FetchFault)) throw error;
    parts.log(`oauth: the assertion of ${clientId} was refused: ${error.message}`);
    return { kind: "refused" };
  }
  const body = new URLSearchParams(form);
  body.delete("client_assertion");
  body.delete("client_assertion_type");
  body.set("client_id", clientId);
  return { kind: "authenticated", clientId, body };
}

/** Who signed, as far as it says so itself; nothing is believed of it before it is verified. */
function issuerOf(assertion: string): string {
  try {
    return decodeJwt(assertion).iss ?? "";
  } catch {
    // Not a JWT: the provider refuses it.
    return "";
  }
}

async function verify(assertion: string, { clientId, authentication, keys }: ClientDocument, parts: AssertionParts) {
  if (!authentication.includes("private_key_jwt") || keys === undefined)
    throw new FetchFault("its document does not offer private_key_jwt");
  if (assertion.length > MAX_CHARACTERS) throw new FetchFault("it is too long");
  const keySet = "jwks" in keys ? keys.jwks : await fetchKeySet(keys.jwksUri, parts.documents);
  const { payload, protectedHeader } = await verifySignature(assertion, keySet, {
    algorithms: ALGORITHMS,
    issuer: clientId,
    subject: clientId,
    audience: [parts.issuer, parts.tokenEndpoint],
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
    currentDate: new Date(parts.now()),
  });
  requireType(protectedHeader.typ, payload, parts.issuer);
  await spend(clientId, payload, parts);
}

/**
 * Throws `JOSEError`, or `FetchFault` for a key that the platform cannot import. The key set is the client's text: a key that is no point of its
 * curve must refuse this client, and not count as a defect of the token endpoint.
 */
async function verifySignature(assertion: string, keySet: JSONWebKeySet, options: JWTVerifyOptions) {
  try {
    return await jwtVerify(assertion, createLocalJWKSet(keySet), options);
  } catch (error) {
    if (error instanceof errors.JOSEError) throw error;
    throw new FetchFault("its key cannot be used", { cause: error });
  }
}

async function fetchKeySet(jwksUri: string, documents: ClientDocuments): Promise<JSONWebKeySet> {
  const parsed = jwksSchema.safeParse(await documents.fetchKeys(jwksUri));
  if (!parsed.success) throw new FetchFault("its jwks_uri has no key set");
  return parsed.data;
}

/** A JWT of another kind must not serve as an assertion (RFC 8725 §3.11); one that says that it is an assertion is for the issuer alone. */
function requireType(type: string | undefined, { aud }: JWTPayload, issuer: string): void {
  const kind = type?.toLowerCase().replace(/^application\//, "") ?? "jwt";
  if (kind === "client-authentication+jwt" ? aud !== issuer : kind !== "jwt")
    throw new FetchFault("it is not a client assertion for this server");
}

async function spend(clientId: string, payload: JWTPayload, { store, now }: AssertionParts): Promise<void> {
  const parsed = expirySchema.safeParse(payload);
  if (!parsed.success) throw new FetchFault("it has no exp or no jti");
  const { exp, jti } = parsed.data;
  const leftSeconds = exp - Math.floor(now() / 1000);
  if (leftSeconds > MAX_LIFETIME_SECONDS) throw new FetchFault("it lives too long");
  const key = `client-assertion-jti:${await sha256Hex(`${clientId}\n${jti}`)}`;
  if ((await store.get(key)) !== null) throw new FetchFault("it was used before");
  // The store refuses the second of two that arrive at once.
  await store.put(key, "1", { expirationTtl: Math.max(60, leftSeconds + CLOCK_TOLERANCE_SECONDS) });
}
