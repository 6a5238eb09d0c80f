// Requests to the token endpoint in which a client names itself twice, before the OAuth provider and the object of the grant see them.
// It only removes a name; which client this is, and whether its secret is right, the provider checks.

/** Credentials in the body. Beside Basic they would be a second method of authentication, which RFC 6749 §2.3 forbids. */
const BODY_CREDENTIALS = ["client_secret", "client_assertion", "client_assertion_type"];

/**
 * Removes `client_id` from a form whose `Authorization: Basic` names the same client: RFC 6749 §3.2.1 lets a client identify itself
 * by it, Python clients do, and the provider takes it for a second method of authentication. Any other form comes back as it was, so
 * the provider refuses it: two different ids could make two parties see two clients in one request.
 */
export function dropRepeatedClientId(form: string, authorization: string | null): string {
  const user = readBasicUser(authorization);
  const fields = new URLSearchParams(form);
  const [clientId, ...more] = fields.getAll("client_id");
  if (user === undefined || user === "" || clientId !== user || more.length > 0) return form;
  // RFC 6749 §3.1: a parameter without a value counts as not sent.
  if (BODY_CREDENTIALS.some((name) => fields.getAll(name).some((value) => value !== ""))) return form;
  fields.delete("client_id");
  return fields.toString();
}

/** The decoded user of `Authorization: Basic` (RFC 6749 §2.3.1: percent-encoded, then Base64). Undefined when it has another form. */
function readBasicUser(authorization: string | null): string | undefined {
  const credentials = /^Basic[\t ]+([^\t ]+)[\t ]*$/i.exec(authorization ?? "")?.[1];
  if (credentials === undefined) return undefined;
  try {
    const [user, password] = splitOnce(atob(credentials), ":").map(decodeFormComponent);
    return password === undefined ? undefined : user;
  } catch (error) {
    // Text from outside that is no Base64 or has a broken percent encoding; anything else is a defect.
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
