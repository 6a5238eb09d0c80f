// What a check of a release comes to.

/** `unknown`: it could not be looked at here, which is no pass. */
export type State = "passed" | "failed" | "unknown";

export interface Outcome {
  readonly state: State;
  /** What was seen, in one line or more. */
  readonly saw: string;
}

export function passedIf(holds: boolean, saw: string): Outcome {
  return { state: holds ? "passed" : "failed", saw };
}
