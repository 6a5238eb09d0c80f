// The grants behind an answer, on their way from the gateway, which decides them, to the code that stores the answer for
// redelivery. They travel in the caller object instead of the answer, so they can never reach the wire.

/** Names one recorded call behind an answer, and the grants that decided it. */
export interface AnswerGrants {
  /** The call's id in the subject's audit record. */
  readonly call: string;
  /** Digest of the grants that decided the call: equal digests mean equal grants. */
  readonly digest: string;
}

/** Receives a call's grants once they are known and before any data is read. */
export type OnGrants = (grants: AnswerGrants) => void;

interface CallerInfo {
  readonly extra?: Record<string, unknown>;
}

const LISTENER_KEY = "noteGrants";

/**
 * Returns the caller with a listener that receives the grants of its calls. The listener is a function, so JSON drops it and
 * cannot forge it.
 */
export function withGrantsListener<Info extends CallerInfo>(info: Info, onGrants: OnGrants): Info {
  return { ...info, extra: { ...info.extra, [LISTENER_KEY]: onGrants } };
}

/** Finds the listener for the grants of this caller's calls; undefined when their answers are not stored. */
export function getGrantsListener({ extra }: CallerInfo): OnGrants | undefined {
  const listener = extra?.[LISTENER_KEY];
  return typeof listener === "function" ? (grants) => void listener(grants) : undefined;
}

/** Parses stored grants. Anything else becomes an empty list: unknown grants, which equal no others. */
export function parseAnswerGrants(value: unknown): readonly AnswerGrants[] {
  return Array.isArray(value) && value.every(isAnswerGrants) ? value : [];
}

function isAnswerGrants(value: unknown): value is AnswerGrants {
  if (typeof value !== "object" || value === null || !("call" in value) || !("digest" in value)) return false;
  return typeof value.call === "string" && typeof value.digest === "string";
}
