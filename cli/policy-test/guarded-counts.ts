// Counts rows of the local data through the Worker's own read modules: the guard view of the subject's decision, the checks of the SQL,
// one transaction in D1. Only counts leave this module.
import type { AllowedDecision, Disclosure, TableDataset } from "../../src/policy/model.ts";
import type { Source, TableSource } from "../../src/read/source.ts";
import { quoteIdentifier } from "../../src/sql/identifier.ts";
import { parseStatement } from "../../src/sql/statement.ts";
import type { CaseCondition } from "./case.ts";

/** How many rows there are, and how many of them meet the conditions. */
export interface Counts {
  readonly rows: number;
  readonly matching: number;
}

/** Bytes of the one row that a count returns. */
const MAX_BYTES = 1000;

/** Counts what a decision shows of a table. The conditions compare stored values, also of columns that the decision masks or hides. */
export async function countVisible(
  sources: readonly Source[],
  table: TableDataset,
  decision: AllowedDecision,
  where: readonly CaseCondition[],
): Promise<Counts> {
  const source = sources.find(
    (candidate): candidate is TableSource => candidate.kind === "d1" && candidate.declaration.name === table.source,
  );
  if (source === undefined) throw new TypeError(`there is no source ${table.source}`);
  const columns = new Set(where.map(({ column }) => column));
  const condition = where.map(conditionSql).join(" AND ");
  const matching = condition === "" ? "count(*)" : `count(CASE WHEN ${condition} THEN 1 END)`;
  const values = where.flatMap((part) => ("value" in part ? [part.value] : []));
  const { rows } = await source.read(
    [{ dataset: table, decision: showColumns(decision, columns) }],
    parseStatement(`SELECT count(*), ${matching} FROM ${quoteIdentifier(table.table)}`),
    values,
    { maxReadRows: 1, maxValueBytes: MAX_BYTES, maxTotalBytes: MAX_BYTES, bookmark: null },
  );
  const [all, matched] = rows[0] ?? [];
  return { rows: Number(all), matching: Number(matched) };
}

/** The decision that shows every row of a table, for what the local data has at all. */
export function decideAll(table: TableDataset): AllowedDecision {
  const columns = Object.fromEntries(table.columns.map(({ name }): [string, Disclosure] => [name, { kind: "clear" }]));
  return {
    allowed: true,
    dataset: table,
    grants: [{ rule: "policy-test", rows: null, columns, reveal: [] }],
    rules: [],
  };
}

/** The same rows, with these columns in clear: a count of them shows no value. */
function showColumns(decision: AllowedDecision, names: ReadonlySet<string>): AllowedDecision {
  const clear = Object.fromEntries([...names].map((name): [string, Disclosure] => [name, { kind: "clear" }]));
  const grants = decision.grants.map((grant) => ({ ...grant, columns: { ...grant.columns, ...clear } }));
  return { ...decision, grants };
}

function conditionSql(part: CaseCondition): string {
  const column = quoteIdentifier(part.column);
  return "value" in part ? `${column} ${part.op} ?` : `${column} ${part.op}`;
}
