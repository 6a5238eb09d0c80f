// Removes a repeated client id from requests to the token endpoint, before the grant's Durable Object and the OAuth provider see
// them. Does not authenticate the client; the provider does.

/** Credentials in the body. With Basic they would be a second method of authentication, which RFC 6749 §2.3 forbids. */
const BODY_CREDENTIALS = ["client_secret", "client_assertion", "client_assertion_type"];

/**
 * Removes `client_id` from a form whose `Authorization: Basic` names the same client. RFC 6749 §3.2.1 allows both and Python
 * clients send both, but the provider mistakes the pair for two methods of authentication. Any other form is returned unchanged
 * for the provider to refuse: with two different ids, two components could see two clients in one request.
 */
export function dropRepeatedClientId(form: string, authorization: string | null): string {
  const user = readBasicUser(authorization);
  const fields = new URLSearchParams(form);
  const [clientId, ...more] = fields.getAll("client_id");
  if (user === undefined || user === "" || clientId !== user || more.length > 0) return form;
  // RFC 6749 §3.1: a parameter without a value counts as omitted.
  if (BODY_CREDENTIALS.some((name) => fields.getAll(name).some((value) => value !== ""))) return form;
  fields.delete("client_id");
  return fields.toString();
}

/** Decodes the user of `Authorization: Basic` (RFC 6749 §2.3.1: percent-encoded, then Base64); undefined for other values. */
function readBasicUser(authorization: string | null): string | undefined {
  const credentials = /^Basic[\t ]+([^\t ]+)[\t ]*$/i.exec(authorization ?? "")?.[1];
  if (credentials === undefined) return undefined;
  try {
    const [user, password] = splitOnce(atob(credentials), ":").map(decodeFormComponent);
    return password === undefined ? undefined : user;
  } catch (error) {
    // The client sent invalid Base64 or percent encoding; any other error is a defect.
    if (error instanceof URIError || (error instanceof DOMException && error.name === "InvalidCharacterError"))
      return undefined;
    throw error;
  }
}

function splitOnce(text: string, separator: string): readonly string[] {
  const at = text.indexOf(separator);
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function decodeFormComponent(text: string): string {
  return decodeURIComponent(text.replaceAll("+", " "));
}
