// What a check of the doctor has to say, in words for the person who runs the deployment.
import { escapeInvisible } from "../../src/lib/visible-text.ts";

export type Finding =
  | { readonly check: string; readonly state: "fine" | "skipped"; readonly says: string }
  /** `warning` works today; `problem` stops some client, or somebody should not have got what they got. */
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

/** Lines to print. What a server said stands in them only quoted. */
export function linesOf(finding: Finding): readonly string[] {
  const first = `${MARK[finding.state]}  ${finding.check}: ${finding.says}`;
  return "mend" in finding ? [first, `      → ${finding.mend}`] : [first];
}

/** A text of the server as it can be printed: one line, nothing invisible, not long. */
export function quote(text: unknown): string {
  return escapeInvisible(
    JSON.stringify(typeof text === "string" && text.length > 160 ? `${text.slice(0, 160)}…` : (text ?? null)),
  );
}
