// Exchanges a masking token for its value. The user needs a grant with `reveal` on the column, and a row in reach of that grant
// must contain the value now.
import { AppError } from "../errors.ts";
import type { Disclosure } from "../policy/model.ts";
import { listGrantingRules } from "../policy/guard-view.ts";
import { toJsonCell } from "../sql/result-encoding.ts";
import type { GovernedRow, VisibleTable } from "../read/source.ts";
import { datasetUri } from "./visible-datasets.ts";
import type { VisibleDatasets, VisibleTables } from "./visible-datasets.ts";
import type { FetchAnswer } from "../answers/fetch-answer.ts";
import { listTableKeys, takeKeys } from "../answers/shown-keys.ts";
import type { Audited } from "../audit/audit.ts";
import { UNTRUSTED_NOTE, fence } from "../answers/untrusted-text.ts";

/** A column whose masking tokens the user may exchange. The decision holds only the grants that allow it. */
interface RevealableColumn {
  readonly table: VisibleTable;
  readonly column: VisibleTable["dataset"]["columns"][number];
  readonly domain: string;
}

/** Finds the value of a masking token. Errors: `not_found`, also if the value exists only in rows that the user cannot read. */
export async function revealMaskingToken(
  { sources }: VisibleDatasets,
  maskingToken: string,
): Promise<Audited<FetchAnswer>> {
  for (const visible of sources.filter((candidate): candidate is VisibleTables => candidate.kind === "d1")) {
    for (const revealable of visible.tables.flatMap(listRevealableColumns)) {
      const { table, column, domain } = revealable;
      const row = await visible.source.reveal(table, column, domain, maskingToken);
      if (row !== undefined && (row[0] ?? null) !== null) return buildRevealAnswer(revealable, maskingToken, row);
    }
  }
  const message =
    `There is no value for ${maskingToken} that you may see. ` +
    "Only some roles may exchange masking tokens, and only for rows that they can read.";
  throw new AppError("not_found", message, { isMissing: true });
}

function listRevealableColumns({ dataset, decision }: VisibleTable): readonly RevealableColumn[] {
  return dataset.columns.flatMap((column) => {
    const grants = decision.grants.filter(({ reveal }) => reveal.includes(column.name));
    const disclosure = grants[0]?.columns[column.name];
    if (disclosure?.kind !== "token") return [];
    const clearColumn: Readonly<Record<string, Disclosure>> = { [column.name]: { kind: "clear" } };
    const clearGrants = grants.map((grant) => ({ ...grant, columns: clearColumn }));
    // Rules that denied stay in the list for the audit record.
    const otherRules = new Set(decision.grants.flatMap((grant) => (grants.includes(grant) ? [] : [grant.rule])));
    const rules = decision.rules.filter((rule) => !otherRules.has(rule));
    const table = { dataset, decision: { ...decision, grants: clearGrants, rules } };
    return [{ table, column, domain: disclosure.domain }];
  });
}

function buildRevealAnswer(
  { table, column }: RevealableColumn,
  maskingToken: string,
  row: GovernedRow,
): Audited<FetchAnswer> {
  const { dataset, decision } = table;
  const text = String(toJsonCell(row[0] ?? null));
  const name = `${dataset.id}.${column.name}`;
  const answer = {
    id: maskingToken,
    title: `${name} of ${maskingToken}`,
    text: column.untrusted ? fence(text) : text,
    url: datasetUri(dataset),
    metadata: {
      kind: "token",
      column: name,
      ...(column.untrusted ? { untrusted: UNTRUSTED_NOTE } : {}),
      rules: listGrantingRules(decision),
    },
  };
  // Other rows may have the value too, unless it is their key.
  const keys = listTableKeys(table).map((key) =>
    key.columns.every((keyColumn) => keyColumn === column.name) ? key : { ...key, columns: [], complete: false },
  );
  return {
    answer,
    datasets: [dataset.id],
    rules: decision.rules,
    columns: [name],
    keys: takeKeys(keys, [column.name], [row]),
    untrusted: column.untrusted ? [name] : [],
    rows: 1,
  };
}
