// Decides for each read whether guard views with a row rule must be fenced: whether an expression of the statement could reveal a hidden
// row by failing on it, or by the time that it takes.
import { isWord } from "../sql/clauses.ts";
import { foldName } from "../sql/identifier.ts";
import { canFailOnRow } from "../sql/row-error-oracles.ts";
import { canStallOnRow } from "../sql/row-timing-oracles.ts";
import type { SchemaCopy } from "../sql/schema-copy.ts";
import { listUsedViews } from "../sql/statement-guard.ts";
import type { GuardView } from "../sql/statement-guard.ts";
import type { LexerToken } from "../sql/lexer.ts";
import type { ReadRequest } from "./read-pipeline.ts";

/** Checking a statement takes time that grows with the square of its length, so longer ones are fenced without a check. */
const MAX_JUDGED_LEXER_TOKENS = 3000;

/** Whether a statement needs a fence. */
export function needsFence(copy: SchemaCopy, { statement, values, views }: ReadRequest): boolean {
  const usedViews = listUsedViews(statement, views);
  if (!usedViews.some((view) => view.isRowRestricted)) return false;
  if (statement.tokens.length > MAX_JUDGED_LEXER_TOKENS) return true;
  if (canStallOnRow(statement, values)) return true;
  // Include every view, not only restricted ones: a hidden row can decide whether a subquery over another table runs.
  const fallibleColumns = usedViews.flatMap((view) => [...view.fallibleColumns, ...listGeneratedColumns(copy, view)]);
  const columns = new Set(usedViews.flatMap((view) => view.columns.map(foldName)));
  return canFailOnRow(statement, values, new Set(fallibleColumns.map(foldName)), (name) => columns.has(name));
}

/** Lists the generated columns of the view's table, whose expressions can fail when they are read. */
function listGeneratedColumns(copy: SchemaCopy, { name }: GuardView): readonly string[] {
  return copy.getTableShape(name).columns.flatMap((column) => (column.isGenerated ? [column.name] : []));
}

/** Words of joins for which SQLite may apply a row rule later than the conditions of the query. */
const LATE_RULE_JOINS = ["right", "full"];

/** Whether a statement may have a join for which SQLite applies a row rule later than the conditions of the query. */
export function mayApplyRuleLate({ names }: { readonly names: ReadonlyMap<string, string> }): boolean {
  return LATE_RULE_JOINS.some((word) => names.has(word));
}

/** Whether such a join is among these lexer tokens. */
export function appliesRuleLate(tokens: readonly LexerToken[]): boolean {
  return tokens.some((token) => isWord(token, ...LATE_RULE_JOINS));
}

/** Whether a statement needs a fence if its RIGHT and FULL joins are LEFT joins, in which the same expressions need one less often. */
export function needsFenceIfLeftJoined(copy: SchemaCopy, request: ReadRequest): boolean {
  const { statement } = request;
  const tokens = statement.tokens.map((token) =>
    isWord(token, ...LATE_RULE_JOINS) ? { ...token, value: "left" } : token,
  );
  return needsFence(copy, { ...request, statement: { ...statement, tokens } });
}
