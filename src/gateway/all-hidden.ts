// What a deployment says whose tables are all still hidden: the operator has declared a database, but has not opened anything yet.
import type { Policy } from "../policy/model.ts";

/** Says that every table is hidden, and how the operator opens some; undefined if a dataset is open, or none is declared. */
export function describeAllHidden({ datasets }: Pick<Policy, "datasets">): string | undefined {
  const isAllHidden = datasets.length > 0 && datasets.every((dataset) => dataset.kind === "table" && dataset.hidden);
  if (!isAllHidden) return undefined;
  const count = datasets.length === 1 ? "1 table, which is hidden" : `${datasets.length} tables, all hidden`;
  return `${count}. The operator opens them: npm run gatehouse -- open <source.table> …`;
}
