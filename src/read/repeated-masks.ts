// Estimates what a statement spends on masks, which no plan of SQLite's shows: it merges a view into the query around it, and then computes
// the mask of a column anew in each place that names the column.
import { isName, isOperator, isWord } from "../sql/clauses.ts";
import { foldName } from "../sql/identifier.ts";
import type { LexerToken } from "../sql/lexer.ts";
import type { GuardView, ViewForm } from "../sql/statement-guard.ts";
import type { Statement } from "../sql/statement.ts";

/** Cost of one mask of one row, where a row of a table scan costs one. */
const MASK_COST = 6;

/** How often a statement computes masks for one row that it reads. */
export interface MaskUses {
  /** How many columns have a computed mask. */
  readonly columns: number;
  /** How many places name one of them; an alias of the same name counts too. */
  readonly places: number;
}

/**
 * Counts the masks that a statement computes for each row that it reads, if it surely computes them for every row that the user sees: it
 * reads one view once, and no condition on a column in clear spares a row. Undefined for any other statement.
 */
export function countMaskUses(
  { tokens }: Pick<Statement, "tokens">,
  usedViews: readonly GuardView[],
): MaskUses | undefined {
  const [view, ...others] = usedViews;
  if (view === undefined || others.length > 0 || view.computedMasks.length === 0) return undefined;
  if (countReads(tokens, view) !== 1) return undefined;
  if (view.readsClear && tokens.some((token) => isWord(token, "where"))) return undefined;
  const masked = new Set(view.computedMasks.map(foldName));
  return {
    columns: masked.size,
    places: tokens.filter((token) => isName(token) && masked.has(foldName(token.value))).length,
  };
}

/** Counts where the name of a view can stand for the view. The name of an output column may be the same. */
function countReads(tokens: readonly LexerToken[], view: GuardView): number {
  const name = foldName(view.name);
  return tokens.filter(
    (token, index) =>
      isName(token) &&
      foldName(token.value) === name &&
      (isWord(tokens[index - 1], "from", "join") || isOperator(tokens[index - 1], ",", "(")),
  ).length;
}

/** Estimates by what factor masks lengthen a plan in a form. */
export function estimateMaskFactor(uses: MaskUses | undefined, { masksOnce, materialized }: ViewForm): number {
  if (uses === undefined) return 1;
  return 1 + MASK_COST * (masksOnce || materialized ? uses.columns : uses.places);
}
