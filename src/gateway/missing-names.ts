// Explains errors about names that a query's source lacks: the table is in another source, or the stored result is gone.
import { AppError } from "../errors.ts";
import { describeMissingResult } from "../results/stored-results.ts";
import type { VisibleTable } from "../read/source.ts";
import { foldName } from "../sql/identifier.ts";
import type { Statement } from "../sql/statement.ts";
import type { VisibleDatasets } from "./visible-datasets.ts";

const RESULT_ID = /^r[1-9][0-9]*$/;

/**
 * Says so when a result is gone: another result that resembles its name has other rows. Drops the flag that adds a role hint, because
 * another role would not give a user more of their own results.
 */
export function explainMissingResult(error: unknown, { names }: Statement, tables: readonly VisibleTable[]): unknown {
  if (!(error instanceof AppError) || !error.isMissing) return error;
  const missing = [...names.keys()].find(
    (name) => RESULT_ID.test(name) && isNamedBy(error, name) && !tables.some(({ dataset }) => dataset.table === name),
  );
  const message = missing === undefined ? error.publicMessage : describeMissingResult(missing);
  return new AppError(error.code, message, { cause: error.cause });
}

/** Adds where the missing name can be read: in another source that the user sees, or among the results. */
export function addOtherSourceHint(
  error: unknown,
  { names }: Statement,
  { sources }: VisibleDatasets,
  requestedSource: string,
): unknown {
  if (!(error instanceof AppError) || !error.isMissing) return error;
  const missing = [...names].find(([, name]) => isNamedBy(error, name))?.[0];
  if (missing === undefined) return error;
  const other = sources
    .flatMap((visible) => (visible.kind === "d1" ? visible.tables : []))
    .find(({ dataset }) => dataset.source !== requestedSource && foldName(dataset.table) === missing)?.dataset;
  const hint =
    other !== undefined
      ? `${other.table} is a table of source ${other.source}.`
      : RESULT_ID.test(missing)
        ? `Results such as ${missing} are tables of source workspace.`
        : undefined;
  if (hint === undefined) return error;
  return new AppError(error.code, `${error.publicMessage} ${hint}`, { cause: error.cause, isMissing: true });
}

/** Whether an error says that there is no table of this name. The statement can contain the name as a text too. */
function isNamedBy({ publicMessage }: AppError, name: string): boolean {
  return publicMessage.startsWith(`There is no table ${name} `);
}
