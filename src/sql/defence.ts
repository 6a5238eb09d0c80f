// Refusals that an operator must see: a defence stopped something that the layers before it should not have let through, or
// the platform is not what this version knows. What is refused every day, such as a misspelt name, is not among them.
import { AppError } from "../errors.ts";

/** Every code that the log can have. `docs/operating.md` explains each; a test compares the two. */
export const DEFENCE_CODES = [
  "unknown_opcode",
  "forbidden_opcode",
  "forbidden_function",
  "forbidden_read",
  "forbidden_action",
  "schema_drift",
  "order_leak",
  "planning_limit",
] as const;

export type DefenceCode = (typeof DEFENCE_CODES)[number];

export interface Refusal {
  readonly code: DefenceCode;
  /** What was refused: a word of SQLite's or of ours, never anything of the SQL or the data. */
  readonly detail: string;
}

/** Gets each refusal as it happens. */
export type OnRefusal = (refusal: Refusal) => void;

/** A refusal on its way to the person, who learns only the message. */
export class DefenceRefusal extends AppError {
  readonly refusal: Refusal;

  constructor(refusal: Refusal, publicMessage: string, options: { readonly cause?: unknown } = {}) {
    super("query_refused", publicMessage, options);
    this.refusal = refusal;
  }
}
