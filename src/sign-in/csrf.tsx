// The CSRF token in forms and requests. It proves that they come from a page of this server, because other sites cannot read it.

/** The name of the form field that holds the CSRF token. */
export const CSRF_FIELD = "csrf";
/** The header that holds the CSRF token in a request without a form. */
export const CSRF_HEADER = "X-Gatehouse-Csrf";

/** Renders the hidden field that every form of a signed-in user's page includes. */
export function CsrfField({ token }: { readonly token: string }) {
  return <input type="hidden" name={CSRF_FIELD} value={token} />;
}
