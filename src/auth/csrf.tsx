// How a form of ours proves that it is ours: a token that another site cannot read.

/** The field's name in a form. */
export const CSRF_FIELD = "csrf";
/** The header that a request without a form brings it in. */
export const CSRF_HEADER = "X-Gatehouse-Csrf";

/** Belongs into each form of a signed-in person's page. */
export function CsrfField({ token }: { readonly token: string }) {
  return <input type="hidden" name={CSRF_FIELD} value={token} />;
}
