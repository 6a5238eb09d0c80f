// Encodes what an input-required tool stores between two requests, its state or its outcome, together with the grants that
// produced it. Only the deployment reads these values.
import type { AuthInfo, ServerContext } from "@modelcontextprotocol/server";
import { getGrantsListener, parseAnswerGrants, withGrantsListener } from "../../lib/answer-grants.ts";
import type { AnswerGrants, OnGrants } from "../../lib/answer-grants.ts";

/** A stored state or outcome with the grants that produced it. */
export interface StoredValue<Value> {
  readonly value: Value;
  /** The grants of every call that contributed to the value; null for the runtime's own messages, which hold no data. */
  readonly grants: readonly AnswerGrants[] | null;
}

/** Encodes a value as JSON for storage. */
export function encodeStoredValue(stored: StoredValue<unknown>): string {
  return JSON.stringify(stored);
}

/** Decodes a stored value. Undefined for values of older versions, which stored no grants. */
export function parseStoredValue<Value>(text: string): StoredValue<Value> | undefined {
  const stored: { readonly value?: Value; readonly grants?: unknown } | null = JSON.parse(text);
  if (stored?.value === undefined || stored.grants === undefined) return undefined;
  return { value: stored.value, grants: stored.grants === null ? null : parseAnswerGrants(stored.grants) };
}

/** Returns a context whose calls add their grants to `recordedGrants` and still report them to the context's own listener. */
export function withRecordedGrants(context: ServerContext, recordedGrants: AnswerGrants[]): ServerContext {
  const { http } = context;
  if (http?.authInfo === undefined) return context;
  const forward = getContextListener(context);
  const authInfo = withGrantsListener(http.authInfo, (grants) => {
    recordedGrants.push(grants);
    forward(grants);
  });
  return { ...context, http: { ...http, authInfo } };
}

/** Returns the listener for the grants of a request's calls; it does nothing when the answer is not stored. */
export function getContextListener({ http }: ServerContext): OnGrants {
  const listener = http?.authInfo === undefined ? undefined : getGrantsListener(http.authInfo);
  return (grants) => listener?.(grants);
}

/** Returns the caller of a request. Throws `TypeError` when there is none, which sign-in rules out. */
export function requireAuthInfo({ http }: ServerContext): AuthInfo {
  if (http?.authInfo === undefined) throw new TypeError("a request reached a handler without a signed-in caller");
  return http.authInfo;
}
