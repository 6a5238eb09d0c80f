// Previews a change: stores the images of the rows that it concerns, and has the database judge whether the plan allows the change of them.
// It looks at no row that the subject does not see, so it checks no constraint.
import {
  buildGrantRowsSql,
  buildMaskEchoSql,
  buildMatchSql,
  buildVisibleSql,
  buildWritableSql,
  quoteChangedRow,
} from "../policy/change-conditions.ts";
import { MAX_CHANGED_ROWS } from "../policy/change-model.ts";
import type { ChangeGrant } from "../policy/change-model.ts";
import { listConditionColumns } from "../policy/conditions.ts";
import { listVisibleColumns } from "../policy/guard-view.ts";
import type { ChangePlan, SetValue } from "../policy/change-plan.ts";
import type { AllowedDecision, BoundCondition } from "../policy/model.ts";
import type { PlannedChange, Preview } from "../read/change-target.ts";
import { quoteIdentifier } from "../sql/identifier.ts";
import { toDriverValue } from "../sql/parameters.ts";
import {
  buildAmongSql,
  buildBytesSql,
  buildCompleteSql,
  buildCountSql,
  buildCurrentSql,
  buildPivotSql,
  buildStoreSql,
} from "./change-images.ts";
import { quoteColumnOf } from "./change-show.ts";
import { buildStatement } from "./change-statement.ts";
import type { RunStatements } from "./change-statement.ts";
import type { ChangeableTable } from "./change-table.ts";

/** The most bytes of the rows of one change: their images are stored up to three times. */
const MAX_IMAGE_BYTES = 2_000_000;

/** Previews a change or an undo. */
export async function previewChange(
  run: RunStatements,
  table: ChangeableTable,
  change: PlannedChange,
): Promise<Preview> {
  if (change.undoes !== null) return previewUndo(run, table, change, change.undoes);
  return change.plan.operation === "insert" ? previewInsert(run, table, change) : previewRows(run, table, change);
}

type Counts = Readonly<Record<string, unknown>>;

function readCount(counts: Counts | undefined, name: string): number {
  return Number(counts?.[name] ?? 0);
}

/** Counts the rows for which a condition holds. */
function sum(condition: string): string {
  return `coalesce(sum((${condition}) IS TRUE), 0)`;
}

/** Stores the images of the rows, and has the database judge them. */
async function previewRows(
  run: RunStatements,
  table: ChangeableTable,
  { previewId, plan }: PlannedChange,
): Promise<Preview> {
  const { operation, dataset, grants, values } = plan;
  const images = { id: previewId, phase: "preview" } as const;
  const quoteColumn = quoteColumnOf(dataset);
  const maxRows = Math.max(...grants.map((grant) => grant.maxRows));
  const [measured] = await run([
    buildStatement((parameters) => buildBytesSql(table, buildMatchSql(plan, { parameters, quoteColumn }), maxRows + 1)),
  ]);
  const found = readCount(measured?.results[0], "rows");
  if (found === 0) return { kind: "no rows" };
  if (found > maxRows) return { kind: "too many rows", maxRows };
  const newBytes = values.reduce((bytes, { value }) => bytes + String(toDriverValue(value) ?? "").length, 0);
  if (readCount(measured?.results[0], "bytes") + found * newBytes > MAX_IMAGE_BYTES) return { kind: "too large" };
  const [, judged] = await run([
    buildStatement((parameters) => {
      const condition = buildMatchSql(plan, { parameters, quoteColumn });
      return buildStoreSql(table, images, { condition, maxRows: maxRows + 1 }, parameters);
    }),
    buildStatement((parameters) => {
      const row = { parameters, quoteColumn };
      const changed = { parameters, quoteColumn: quoteChangedRow(values, row) };
      const judgements = {
        matched: "count(*)",
        writable: sum(operation === "delete" ? "1" : buildWritableSql(plan, row)),
        echoes: sum(buildMaskEchoSql(plan, row)),
        visible: sum(operation === "update" ? buildVisibleSql(plan.read, changed) : "1"),
        ...Object.fromEntries(grants.map((grant, index) => [`grant${index}`, sum(buildGrantRowsSql(grant, row))])),
      };
      const columns = Object.entries(judgements).map(([name, sql]) => `${sql} AS ${name}`);
      return `SELECT ${columns.join(", ")} FROM ${table.from} WHERE ${buildAmongSql(table, images, parameters)}`;
    }),
  ]);
  return judgeRows(table, plan, judged?.results[0] ?? {}, maxRows);
}

function judgeRows(table: ChangeableTable, plan: ChangePlan, counts: Counts, maxRows: number): Preview {
  const { grants } = plan;
  const rows = readCount(counts, "matched");
  if (rows === 0) return { kind: "no rows" };
  if (rows > maxRows) return { kind: "too many rows", maxRows };
  if (readCount(counts, "writable") < rows) return { kind: "masked column" };
  if (readCount(counts, "echoes") > 0) return { kind: "mask echo" };
  const chosen = chooseGrant(grants, counts, rows);
  if (chosen.kind !== "chosen") return chosen;
  if (readCount(counts, "visible") < rows && !chosen.grant.mayLeaveSight) return { kind: "leaves sight" };
  return { kind: "previewed", rows, grant: chosen.index, computedColumns: listComputedColumns(table, plan) };
}

/** Chooses the first grant that holds every row and allows so many. `counts` has the rows that each grant holds, as `grant0` and on. */
function chooseGrant(
  grants: readonly ChangeGrant[],
  counts: Counts | undefined,
  rows: number,
):
  | { readonly kind: "chosen"; readonly grant: ChangeGrant; readonly index: number }
  | Extract<Preview, { readonly kind: "rows not allowed" | "too many rows" }> {
  const covering = grants.flatMap((grant, index) =>
    readCount(counts, `grant${index}`) === rows ? [{ grant, index }] : [],
  );
  if (covering.length === 0) return { kind: "rows not allowed" };
  const chosen = covering.find(({ grant }) => rows <= grant.maxRows);
  if (chosen !== undefined) return { kind: "chosen", ...chosen };
  return { kind: "too many rows", maxRows: Math.max(...covering.map(({ grant }) => grant.maxRows)) };
}

/** Judges a new row as far as its values tell, without a look at the table. The rest is asserted when it is inserted. */
async function previewInsert(run: RunStatements, table: ChangeableTable, { plan }: PlannedChange): Promise<Preview> {
  const { grants, values, read, dataset } = plan;
  const missing = listMissingColumns(table, values);
  if (missing.length > 0) {
    const visible = new Set(listVisibleColumns(read, dataset).map(({ name }) => name));
    return { kind: "missing values", columns: missing.filter((name) => visible.has(name)) };
  }
  const [result] = await run([
    buildStatement((parameters) => {
      const row = { parameters, quoteColumn: quoteChangedRow(values, { parameters, quoteColumn: () => "NULL" }) };
      const isVisible = decidesVisibility(read, values) ? buildVisibleSql(read, row) : "1";
      const allowed = grants.map((grant, index) => {
        const sql = isDecidedBy(grant.rows, values) ? buildGrantRowsSql(grant, row) : "1";
        return `(${sql}) IS TRUE AS grant${index}`;
      });
      return `SELECT (${isVisible}) IS TRUE AS visible, ${allowed.join(", ")}`;
    }),
  ]);
  const judged = result?.results[0];
  const index = grants.findIndex((_grant, position) => readCount(judged, `grant${position}`) === 1);
  const grant = grants[index];
  if (grant === undefined) return { kind: "rows not allowed" };
  if (readCount(judged, "visible") === 0 && !grant.mayLeaveSight) return { kind: "leaves sight" };
  return { kind: "previewed", rows: 1, grant: index, computedColumns: listComputedColumns(table, plan) };
}

/** Lists the columns that need a value, and get none from the change or the database. */
function listMissingColumns(table: ChangeableTable, values: readonly SetValue[]): readonly string[] {
  const given = new Set(values.filter(({ value }) => value !== null).map(({ column }) => column.name));
  return table.columns
    .filter(
      ({ name, isRequired, hasDefault, isGenerated }) =>
        isRequired && !hasDefault && !isGenerated && name !== table.rowidColumn && !given.has(name),
    )
    .map(({ name }) => name);
}

/** Whether a viewer would see a new row; false when columns that only the database sets decide it. */
export async function seesNewRow(
  run: RunStatements,
  read: AllowedDecision,
  values: readonly SetValue[],
): Promise<boolean> {
  if (!decidesVisibility(read, values)) return false;
  const [result] = await run([
    buildStatement((parameters) => {
      const quoteColumn = quoteChangedRow(values, { parameters, quoteColumn: () => "NULL" });
      return `SELECT (${buildVisibleSql(read, { parameters, quoteColumn })}) IS TRUE AS visible`;
    }),
  ]);
  return readCount(result?.results[0], "visible") === 1;
}

function decidesVisibility({ grants }: AllowedDecision, values: readonly SetValue[]): boolean {
  return grants.some(({ rows }) => rows === null) || grants.every(({ rows }) => isDecidedBy(rows, values));
}

/** Whether the values of a new row decide a row rule, so that no default of the database does. */
function isDecidedBy(rows: BoundCondition | null, values: readonly SetValue[]): boolean {
  const given = new Set(values.map(({ column }) => column.name));
  return rows === null || listConditionColumns(rows).every((name) => given.has(name));
}

/** Stores the images of the rows as they are now, and requires that they are as the change left them. */
async function previewUndo(
  run: RunStatements,
  table: ChangeableTable,
  { previewId, plan }: PlannedChange,
  undoes: string,
): Promise<Preview> {
  const { dataset, read, grants, operation } = plan;
  const left = { id: undoes, phase: "after" } as const;
  const restored = { id: undoes, phase: "before" } as const;
  const quoteColumn = quoteColumnOf(dataset);
  const images = operation === "delete" ? restored : left;
  const [counted] = await run([buildStatement((parameters) => `SELECT ${buildCountSql(images, parameters)} AS rows`)]);
  const rows = readCount(counted?.results[0], "rows");
  if (rows === 0) return { kind: "drifted" };
  const [, present, rules] = await run([
    buildStatement((parameters) => {
      const condition = buildAmongSql(table, left, parameters);
      return buildStoreSql(
        table,
        { id: previewId, phase: "preview" },
        { condition, maxRows: MAX_CHANGED_ROWS },
        parameters,
      );
    }),
    buildStatement((parameters) => {
      const among = `FROM ${table.from} WHERE ${buildAmongSql(table, left, parameters)}`;
      const seen = `SELECT count(*) ${among} AND ${buildVisibleSql(read, { parameters, quoteColumn })}`;
      const kept = operation === "insert" ? "1" : buildCompleteSql(table, restored, rows, parameters);
      const current = buildCurrentSql(table, left, parameters);
      return `SELECT ${current} AS current, ${kept} AS kept, (SELECT count(*) ${among}) AS present, (${seen}) AS seen`;
    }),
    buildStatement((parameters) => {
      // The rule's rows: those of an insert as they are, the others as they will be again.
      const isInsert = operation === "insert";
      const row = { parameters, quoteColumn: isInsert ? quoteColumn : (name: string) => `p.${quoteIdentifier(name)}` };
      const columns = grants.map((grant, index) => `${sum(buildGrantRowsSql(grant, row))} AS grant${index}`);
      const from = isInsert
        ? `${table.from} WHERE ${buildAmongSql(table, left, parameters)}`
        : `(${buildPivotSql(table, restored, parameters)}) AS p`;
      return `SELECT ${columns.join(", ")} FROM ${from}`;
    }),
  ]);
  const counts = present?.results[0];
  // Of rows that the subject does not see, not even a change is told.
  if (readCount(counts, "seen") < readCount(counts, "present")) return { kind: "rows not allowed" };
  if (readCount(counts, "current") === 0 || readCount(counts, "kept") === 0) return { kind: "drifted" };
  const chosen = chooseGrant(grants, rules?.results[0], rows);
  return chosen.kind === "chosen" ? { kind: "previewed", rows, grant: chosen.index, computedColumns: [] } : chosen;
}

/** Lists the columns that only the database sets: defaults and the rowid of a new row, and generated columns. */
function listComputedColumns(table: ChangeableTable, { operation, values }: ChangePlan): readonly string[] {
  if (operation === "delete") return [];
  const given = new Set(values.map(({ column }) => column.name));
  return table.columns
    .filter(
      ({ name, isGenerated, hasDefault }) =>
        !given.has(name) && (isGenerated || (operation === "insert" && (hasDefault || name === table.rowidColumn))),
    )
    .map(({ name }) => name);
}
