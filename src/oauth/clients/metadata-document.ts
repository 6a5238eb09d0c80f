// Parses a fetched client metadata document into the members that the OAuth provider needs, and drops the rest.
import type { JWK } from "jose";
import * as z from "zod";
import { isUsableRedirectUri } from "./redirect-uri.ts";
import { FetchFault } from "./strict-fetch.ts";

type ClientAuthentication = "none" | "private_key_jwt";

/** The public keys of a client, or the URL of its key set. */
type ClientKeys = { readonly jwks: { readonly keys: JWK[] } } | { readonly jwksUri: string };

/** Describes a client by its parsed metadata document. */
export interface ClientDocument {
  readonly clientId: string;
  readonly clientName: string;
  readonly redirectUris: readonly string[];
  readonly grantTypes: readonly string[];
  readonly responseTypes: readonly string[];
  /** The methods of authentication that both the client and this server support. */
  readonly authentication: readonly ClientAuthentication[];
  /** Present when `private_key_jwt` is one of the methods. */
  readonly keys?: ClientKeys;
}

const texts = z.array(z.string()).nullish();
const documentSchema = z.object({
  client_id: z.string(),
  client_name: z.string().regex(/\S/),
  redirect_uris: z.array(z.string()),
  grant_types: texts,
  response_types: texts,
  token_endpoint_auth_method: z.string().nullish(),
  token_endpoint_auth_methods_supported: texts,
  jwks: z.object({ keys: z.array(z.looseObject({ kty: z.string() })) }).nullish(),
  jwks_uri: z.string().nullish(),
  // A document is public, so nothing in it can be a secret.
  client_secret: z.never().optional(),
  client_secret_expires_at: z.never().optional(),
});

/** Members of private and of symmetric keys (RFC 7518 §6). */
const SECRET_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
const GRANT_TYPES = ["authorization_code", "refresh_token"];

/**
 * Parses a document that was fetched from `url`. Redirect URIs that this server cannot use are dropped, because the document may
 * list them for other servers. Throws `FetchFault` when the document cannot be used.
 */
export function parseClientDocument(url: string, value: unknown, allowedSchemes: readonly string[]): ClientDocument {
  const parsed = documentSchema.safeParse(value);
  if (!parsed.success)
    throw new FetchFault(`it is invalid at ${parsed.error.issues.map(({ path }) => path.join(".")).join(", ")}`);
  const { client_id: clientId, client_name: clientName, redirect_uris, grant_types, response_types } = parsed.data;
  if (clientId !== url) throw new FetchFault("its client_id is not its URL");
  const redirectUris = redirect_uris.filter((uri) => isUsableRedirectUri(uri, allowedSchemes));
  if (redirectUris.length === 0) throw new FetchFault("it has no usable redirect URI");
  const grantTypes = (grant_types ?? ["authorization_code"]).filter((type) => GRANT_TYPES.includes(type));
  const responseTypes = (response_types ?? ["code"]).filter((type) => type === "code");
  if (!grantTypes.includes("authorization_code") || responseTypes.length === 0)
    throw new FetchFault("it does not use the authorization code flow");
  return { clientId, clientName, redirectUris, grantTypes, responseTypes, ...selectAuthentication(parsed.data) };
}

/** Selects the methods of authentication, and the keys that `private_key_jwt` needs. */
function selectAuthentication({
  token_endpoint_auth_method: preferred,
  token_endpoint_auth_methods_supported: listed,
  jwks,
  jwks_uri: jwksUri,
}: z.output<typeof documentSchema>): Pick<ClientDocument, "authentication" | "keys"> {
  const offered = listed ?? [preferred ?? "none"];
  const keys = selectKeys(jwks?.keys, jwksUri ?? undefined);
  const authentication: ClientAuthentication[] = [];
  if (offered.includes("none")) authentication.push("none");
  if (offered.includes("private_key_jwt") && keys !== undefined) authentication.push("private_key_jwt");
  if (authentication.length === 0) throw new FetchFault("it offers no authentication method that this server supports");
  return { authentication, ...(keys === undefined ? {} : { keys }) };
}

function selectKeys(keys: JWK[] | undefined, jwksUri: string | undefined): ClientKeys | undefined {
  if (keys?.some((key) => SECRET_MEMBERS.some((member) => member in key)))
    throw new FetchFault("it holds a private key");
  if (keys !== undefined && jwksUri !== undefined) throw new FetchFault("it has both jwks and jwks_uri");
  if (keys !== undefined && keys.length > 0) return { jwks: { keys } };
  return jwksUri === undefined ? undefined : { jwksUri };
}
