// Explains errors about names that a query's source lacks: the table is in another source, or the stored result is gone.
import { AppError } from "../errors.ts";
import { describeMissingResult } from "../results/stored-results.ts";
import type { VisibleTable } from "../read/source.ts";
import type { TableDataset } from "../policy/model.ts";
import { WORKSPACE } from "../results/workspace-source.ts";
import { foldName } from "../sql/identifier.ts";
import { MissingTableError } from "../sql/sql-problem.ts";
import type { VisibleDatasets } from "./visible-datasets.ts";

const RESULT_ID = /^r[1-9][0-9]*$/;

/**
 * Says so when a result is gone: another result that resembles its name has other rows. Drops the flag that adds a role hint, because
 * another role would not give a user more of their own results.
 */
export function explainMissingResult(error: unknown, tables: readonly VisibleTable[]): unknown {
  if (!(error instanceof AppError) || !error.isMissing) return error;
  const missing = error instanceof MissingTableError ? foldName(error.table.split(".").at(-1) ?? "") : "";
  const isResult = RESULT_ID.test(missing) && !tables.some(({ dataset }) => dataset.table === missing);
  const message = isResult ? describeMissingResult(missing) : error.publicMessage;
  return new AppError(error.code, message, { cause: error.cause });
}

/** The most sources that a hint names. */
const MAX_LISTED_SOURCES = 3;

/** Adds where a missing table can be read: in another source that the user sees, or among the results. */
export function addOtherSourceHint(error: unknown, datasets: VisibleDatasets, requestedSource: string): unknown {
  if (!(error instanceof MissingTableError)) return error;
  const [table = "", qualifier] = error.table.split(".").toReversed().map(foldName);
  const holders = datasets.sources
    .flatMap((visible) => (visible.kind === "d1" ? visible.tables : []))
    .map(({ dataset }) => dataset)
    .filter((dataset) => dataset.source !== requestedSource && foldName(dataset.table) === table);
  const named = holders.filter(({ source }) => foldName(source) === qualifier);
  const hint =
    holders.length > 0
      ? describeHolders(named.length > 0 ? named : holders)
      : RESULT_ID.test(table)
        ? `Results such as ${table} are tables of source ${WORKSPACE}.`
        : undefined;
  if (hint === undefined) return error;
  // Where this source has a table of the name too, the advice to leave out the source would lead to other data.
  const message = named.length > 0 ? hint : `${error.publicMessage} ${hint}`;
  return new AppError(error.code, message, { cause: error.cause, isMissing: named.length === 0 });
}

function describeHolders(holders: readonly TableDataset[]): string {
  const [first] = holders;
  const names = holders.slice(0, MAX_LISTED_SOURCES).map(({ source }) => source);
  const rest = holders.length - names.length;
  const sources = `${names.join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`;
  return [
    `${first?.table} is a table of source ${sources}: query it there, without the source before its name.`,
    `A query reads one source; to join, query each, then join the results in source ${WORKSPACE}.`,
  ].join(" ");
}
