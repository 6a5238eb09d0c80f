// A finding of the doctor: the outcome of one check, written for the operator.
import { escapeInvisible } from "../../src/lib/visible-text.ts";

/** The outcome of one check. `mend` says how to fix it. */
export type Finding =
  | { readonly check: string; readonly state: "fine" | "skipped"; readonly says: string }
  /** `warning` works today; `problem` stops a client, or gives out something that it must not. */
  | { readonly check: string; readonly state: "warning" | "problem"; readonly says: string; readonly mend: string };

export const fine = (check: string, says: string): Finding => ({ check, state: "fine", says });
export const skipped = (check: string, says: string): Finding => ({ check, state: "skipped", says });
export const warning = (check: string, says: string, mend: string): Finding => ({
  check,
  state: "warning",
  says,
  mend,
});
export const problem = (check: string, says: string, mend: string): Finding => ({
  check,
  state: "problem",
  says,
  mend,
});

const MARK = { fine: "ok  ", skipped: "–   ", warning: "warn", problem: "BAD " } as const;

/** The lines to print. Text of the server appears in them only quoted. */
export function linesOf(finding: Finding): readonly string[] {
  const first = `${MARK[finding.state]}  ${finding.check}: ${finding.says}`;
  return "mend" in finding ? [first, `      → ${finding.mend}`] : [first];
}

/** Quotes text of the server for printing: one line, at most 160 characters, invisible characters escaped. */
export function quote(text: unknown): string {
  return escapeInvisible(
    JSON.stringify(typeof text === "string" && text.length > 160 ? `${text.slice(0, 160)}…` : (text ?? null)),
  );
}
