// A pause as it goes from GATEHOUSE_DB to ledgers and to the user: its data, the message to the user, and its record.
import { INTERRUPTED_OUTCOME } from "./audit-record.ts";
import type { Outcome } from "./audit-record.ts";
import { AppError } from "../errors.ts";

/** What can be paused: a user by address, a personal access token by id, a client by id, a source by name. */
export const PAUSE_KINDS = ["user", "token", "client", "source"] as const;
export type PauseKind = (typeof PAUSE_KINDS)[number];

/** A pause that has not been ended. */
export interface Pause {
  readonly kind: PauseKind;
  readonly target: string;
  /** The operator's words for the user; empty for none. */
  readonly reason: string;
  /** When it ends by itself, in milliseconds since the epoch; null for never. */
  readonly untilMs: number | null;
  readonly changedBy: string;
  /** Above the version of every earlier change of any pause. */
  readonly version: number;
}

/** The pauses that concern one ledger, as they were after a version. */
export interface PauseSnapshot {
  readonly version: number;
  readonly pauses: readonly Pause[];
}

/** Whether a dataset belongs to a source. */
export function isOfSource(dataset: string, source: string): boolean {
  return dataset === source || dataset.startsWith(`${source}.`);
}

/** Creates the error of a call that a pause stops. It does not quote names that the user does not know. */
export function createPausedError({ kind, target, reason, untilMs }: Pause, contact = "the operator"): AppError {
  const subjects = {
    user: "your access",
    token: "this personal access token",
    client: "this client",
    source: `the source ${target}`,
  };
  const message = [
    `The operator of this server has paused ${subjects[kind]}.`,
    ...(reason === "" ? [] : [`The operator's words: ${JSON.stringify(reason)}.`]),
    ...(untilMs === null ? [] : [`The pause ends at ${new Date(untilMs).toISOString()} at the latest.`]),
    `Nothing was deleted, and everything works again after the pause. Do not retry; ask ${contact}.`,
  ];
  return new AppError("paused", message.join(" "));
}

/** Builds the outcome of a call that a pause stopped. */
export function buildPausedOutcome({ kind }: Pause): Outcome {
  return { ...INTERRUPTED_OUTCOME, result: "denied", code: "paused", denials: [`${kind}: paused`] };
}

/** The actions of records about pauses. Their client is what was paused; it did not act. */
export const PAUSE_ACTIONS = ["pause access", "resume access"] as const;
export type PauseAction = (typeof PAUSE_ACTIONS)[number];

/** Writes what the record of a pause or of its end says. It is in the ledger of a paused user, so it does not need the user's address. */
export function formatPauseRecord(action: PauseAction, { kind, target, reason, untilMs, changedBy }: Pause): string {
  const paused = { by: changedBy, kind, ...(kind === "user" ? {} : { target }) };
  if (action === "resume access") return JSON.stringify(paused);
  return JSON.stringify({ ...paused, reason, until: untilMs === null ? null : new Date(untilMs).toISOString() });
}
