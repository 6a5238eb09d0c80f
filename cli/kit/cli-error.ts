// How a command ends: the exit codes, and the one error that commands throw for what an operator can fix. Any other error is a defect.

/** The exit codes of every command; docs/command-line.md explains them. */
export const EXIT_CODES = {
  ok: 0,
  /** A problem that the operator can fix, or a check that found problems. */
  problem: 1,
  /** An unknown command or option, or a missing or invalid argument. */
  usage: 2,
  /** A defect of Gatehouse, printed with its stack (EX_SOFTWARE of sysexits.h). */
  defect: 70,
} as const;

export type ExitCode = (typeof EXIT_CODES)[keyof typeof EXIT_CODES];

interface CliErrorOptions {
  /** The next step, on a line of its own. */
  readonly hint?: string;
  /** `problem` unless given. */
  readonly exitCode?: ExitCode;
  readonly cause?: unknown;
}

/**
 * Reports a problem that the operator can fix. Its message is printed without a stack.
 * @example throw new CliError("There is no local state yet.", { hint: "Run npm start first." });
 */
export class CliError extends Error {
  readonly hint: string | undefined;
  readonly exitCode: ExitCode;

  constructor(message: string, { hint, exitCode = EXIT_CODES.problem, cause }: CliErrorOptions = {}) {
    super(message, cause === undefined ? {} : { cause });
    this.name = "CliError";
    this.hint = hint;
    this.exitCode = exitCode;
  }
}

/** Creates the error for wrong usage: `CliError` with exit code 2. */
export function usageError(message: string, hint?: string): CliError {
  return new CliError(message, { exitCode: EXIT_CODES.usage, ...(hint === undefined ? {} : { hint }) });
}
