// What the authorization server's metadata says of clients with a metadata document. The OAuth provider says that it takes none,
// as it is not the provider who fetches them.

/** Where RFC 8414 puts the metadata. */
export const SERVER_METADATA_PATH = "/.well-known/oauth-authorization-server";

/** The provider's metadata with what this server takes besides. Other answers stay as they are. */
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
