// The states of a change, in the order in which it can pass through them, and which of them are final.

/**
 * - `proposed`: waits for the decision of a person.
 * - `approved`: was approved, and will be applied.
 * - `applying`: is being applied, or the server stopped meanwhile and will find out.
 * - `applied`: every row has changed.
 *
 * The others are ends in which no row has changed, except `outcome_unknown`:
 *
 * - `denied`: a person said no, or the rights to it ended before it was applied.
 * - `expired`: no one decided in time, or it could not be applied in time.
 * - `conflict`: the rows were not those of the preview any more.
 * - `failed`: the database refused it.
 * - `outcome_unknown`: the database cannot be reached to find out; the server goes on trying.
 */
export const CHANGE_STATES = [
  "proposed",
  "approved",
  "applying",
  "applied",
  "denied",
  "expired",
  "conflict",
  "failed",
  "outcome_unknown",
] as const;

export type ChangeState = (typeof CHANGE_STATES)[number];

/** The states in which a change has ended without being applied. */
export const END_STATES = ["denied", "expired", "conflict", "failed"] as const satisfies readonly ChangeState[];
export type EndState = (typeof END_STATES)[number];

/** The states in which a change counts against the limit of open ones. */
export const OPEN_STATES: readonly ChangeState[] = ["proposed", "approved", "applying", "outcome_unknown"];

/** Whether a decision or its apply is still awaited. In the state `outcome_unknown`, waiting would not help. */
export function isUnderWay(state: ChangeState): boolean {
  return state === "proposed" || state === "approved" || state === "applying";
}

/** Whether a change in this state can still become another one. */
export function isOpen(state: ChangeState): boolean {
  return OPEN_STATES.includes(state);
}
