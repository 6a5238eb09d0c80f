// Adds support for client metadata documents to the authorization server's metadata. The OAuth provider does not advertise it,
// because Gatehouse, not the provider, fetches the documents.

/** The path of the metadata (RFC 8414 §3). */
export const SERVER_METADATA_PATH = "/.well-known/oauth-authorization-server";

/** Extends the provider's metadata with what this server also supports. Does not change error responses. */
export async function advertiseDocuments(response: Response): Promise<Response> {
  if (response.status !== 200 || response.body === null) return response;
  const metadata: Record<string, unknown> = await response.json();
  const { token_endpoint_auth_methods_supported: methods } = metadata;
  const body = {
    ...metadata,
    token_endpoint_auth_methods_supported: [...(Array.isArray(methods) ? methods : []), "private_key_jwt"],
    token_endpoint_auth_signing_alg_values_supported: ["RS256", "ES256"],
    client_id_metadata_document_supported: true,
  };
  return Response.json(body, { headers: response.headers });
}
