// Under which grants an answer was made, on its way from the gateway, which decides, to whatever stores the answer to deliver
// it again. It travels beside the answer, through the caller of a request, so that it can never appear on the wire.

/** One recorded call behind an answer. */
export interface AnswerGrants {
  /** The call's id in the subject's record. */
  readonly call: string;
  /** Of the grants that decided it: equal digests mean equal grants. */
  readonly digest: string;
}

/** Called once a call's grants are known and before anything is read. */
export type NoteGrants = (grants: AnswerGrants) => void;

interface CallerInfo {
  readonly extra?: Record<string, unknown>;
}

const NOTE = "noteGrants";

/** The same caller, whose calls note their grants here. A function: it is lost, and never forged, where a caller becomes JSON. */
export function withGrantsNote<Info extends CallerInfo>(info: Info, note: NoteGrants): Info {
  return { ...info, extra: { ...info.extra, [NOTE]: note } };
}

/** Where the calls of this caller note their grants; undefined when nothing stores what they answer. */
export function grantsNoteOf({ extra }: CallerInfo): NoteGrants | undefined {
  const note = extra?.[NOTE];
  return typeof note === "function" ? (grants) => void note(grants) : undefined;
}

/** Reads stored grants. Anything else is an empty list: unknown grants, which equal none. */
export function parseAnswerGrants(value: unknown): readonly AnswerGrants[] {
  return Array.isArray(value) && value.every(isAnswerGrants) ? value : [];
}

function isAnswerGrants(value: unknown): value is AnswerGrants {
  if (typeof value !== "object" || value === null || !("call" in value) || !("digest" in value)) return false;
  return typeof value.call === "string" && typeof value.digest === "string";
}
