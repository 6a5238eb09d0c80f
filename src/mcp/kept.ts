// What rounds leave with the deployment between two requests, a tool's state or its outcome, with the grants under which it was
// made. Only the deployment reads it.
import type { AuthInfo, ServerContext } from "@modelcontextprotocol/server";
import { grantsNoteOf, parseAnswerGrants, withGrantsNote } from "../lib/answer-grants.ts";
import type { AnswerGrants, NoteGrants } from "../lib/answer-grants.ts";

export interface Kept<Value> {
  readonly value: Value;
  /** Of every call behind it; null when it is the runtime's own words, which hold no data. */
  readonly grants: readonly AnswerGrants[] | null;
}

export function encodeKept(kept: Kept<unknown>): string {
  return JSON.stringify(kept);
}

/** Reads what this deployment encoded. Undefined for the form of versions that kept no grants: they are unknown then. */
export function parseKept<Value>(text: string): Kept<Value> | undefined {
  const kept: { readonly value?: Value; readonly grants?: unknown } | null = JSON.parse(text);
  if (kept?.value === undefined || kept.grants === undefined) return undefined;
  return { value: kept.value, grants: kept.grants === null ? null : parseAnswerGrants(kept.grants) };
}

/** Where the grants of a round's calls are noted; they go on to whatever stores the answer. */
export function watch(context: ServerContext, noted: AnswerGrants[]): ServerContext {
  const { http } = context;
  if (http?.authInfo === undefined) return context;
  const forward = noteOf(context);
  const authInfo = withGrantsNote(http.authInfo, (grants) => {
    noted.push(grants);
    forward(grants);
  });
  return { ...context, http: { ...http, authInfo } };
}

/** Where the calls of a request note their grants, if anything stores its answer. */
export function noteOf({ http }: ServerContext): NoteGrants {
  const note = http?.authInfo === undefined ? undefined : grantsNoteOf(http.authInfo);
  return (grants) => note?.(grants);
}

/** The caller of a request. Throws `TypeError` when a request arrives without a caller, which no border lets through. */
export function authInfoOf({ http }: ServerContext): AuthInfo {
  if (http?.authInfo === undefined) throw new TypeError("a request reached a handler without a signed-in caller");
  return http.authInfo;
}
