// The outcome of one release check.

/** `unknown`: the check could not run here, which does not count as a pass. */
export type State = "passed" | "failed" | "unknown";

/** Whether a check passed, and what it found. */
export interface Outcome {
  readonly state: State;
  /** What the check found, in one or more lines. */
  readonly saw: string;
}

/** An outcome that passed if a condition holds, and failed otherwise. */
export function passedIf(holds: boolean, saw: string): Outcome {
  return { state: holds ? "passed" : "failed", saw };
}
