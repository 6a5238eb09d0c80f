// Refusals that an operator must see: a defence stopped something that an earlier layer should have stopped, or the platform differs from
// what this version supports. Everyday refusals, such as a misspelt name, are not among them.
import { AppError } from "../errors.ts";

/** Lists every code that the log can contain. `docs/maintaining.md` explains each code; a test compares the two. */
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

/** The code of a refusal by a defence. */
export type DefenceCode = (typeof DEFENCE_CODES)[number];

/** A refusal as the log shows it. */
export interface Refusal {
  readonly code: DefenceCode;
  /** What was refused: a word of SQLite or Gatehouse, never part of the SQL or the data. */
  readonly detail: string;
}

/** Receives each refusal as it happens. */
export type OnRefusal = (refusal: Refusal) => void;

/** Carries a refusal to the log, and its message to the user (code `query_refused`), who sees nothing else. */
export class DefenceRefusal extends AppError {
  readonly refusal: Refusal;

  constructor(refusal: Refusal, publicMessage: string, options: { readonly cause?: unknown } = {}) {
    super("query_refused", publicMessage, options);
    this.refusal = refusal;
  }
}
