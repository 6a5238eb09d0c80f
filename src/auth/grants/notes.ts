// What the record says of connections: how one ended, and which tokens of theirs were refused. Only tokens that were really
// given out, and each once: whoever makes tokens up, or presents one for ever, writes nothing into anybody's record.
import type { Attempt, Outcome } from "../../ledger/record.ts";

/** A record to be written into a subject's ledger, as often as needed to be sure. */
export interface Note {
  readonly attempt: Attempt;
  readonly outcome: Outcome;
  /** When it happened. */
  readonly atMs: number;
}

/** Why a grant is over, as the record says it. */
export const ENDINGS = {
  ended: "the person ended the connection",
  revoked: "its client gave the connection back",
  refused: "signing in again was refused",
  spent: "a refresh token was presented again after its time; the connection was ended",
  replayed: "a code was presented twice; the connection was ended",
  expired: "the connection was not used for too long",
} as const;

export type Ending = keyof typeof ENDINGS;

/** Endings that somebody other than the person and their client may have caused. */
const SUSPICIOUS: readonly Ending[] = ["spent", "replayed", "refused"];

/** Why an access token was refused at the resource. */
export const REFUSALS = {
  expired: "an access token that had expired",
  revoked: "an access token that was revoked",
  elsewhere: "an access token for another resource",
} as const;

export type Refusal = keyof typeof REFUSALS;

export interface NoteSubject {
  readonly subjectId: string;
  readonly clientId: string;
  readonly grantId: string;
}

/** `call` names the event: a record of that name is written once. */
export function endingNote(call: string, subject: NoteSubject, ending: Ending, atMs: number): Note {
  const denials = SUSPICIOUS.includes(ending) ? [ENDINGS[ending]] : [];
  return noteOf(call, subject, { operation: "end connection", why: ENDINGS[ending], denials, atMs });
}

export function refusalNote(call: string, subject: NoteSubject, refusal: Refusal, atMs: number): Note {
  return noteOf(call, subject, {
    operation: "present token",
    why: REFUSALS[refusal],
    denials: [REFUSALS[refusal]],
    atMs,
  });
}

interface Event {
  readonly operation: string;
  readonly why: string;
  readonly denials: readonly string[];
  readonly atMs: number;
}

function noteOf(
  call: string,
  { subjectId, clientId, grantId }: NoteSubject,
  { operation, why, denials, atMs }: Event,
): Note {
  const nothing = {
    code: null,
    roles: [],
    datasets: [],
    rules: [],
    masked: [],
    untrusted: [],
    rows: 0,
    cut: false,
    kept: null,
  };
  return {
    attempt: { call, subjectId, owner: null, clientId, operation, asked: `${why} (connection ${grantId})` },
    outcome: { result: denials.length === 0 ? "answered" : "denied", denials, ...nothing },
    atMs,
  };
}
