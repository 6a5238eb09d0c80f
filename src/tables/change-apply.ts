// Builds the statements of one change in their order: the journal row, which a second apply would repeat; the images of the rows as they
// are; the assertion that they are those of the preview; the change; the images after it; and what has to hold of them. SQLite runs them
// as one transaction, and the first one that fails undoes all.
import {
  buildGrantRowsSql,
  buildVisibleSql,
  buildMatchSql,
  buildWritableSql,
  castValue,
} from "../policy/change-conditions.ts";
import { MAX_CHANGED_ROWS } from "../policy/change-model.ts";
import type { ChangeGrant } from "../policy/change-model.ts";
import type { ChangePlan } from "../policy/change-plan.ts";
import type { PlannedChange } from "../read/change-target.ts";
import { quoteIdentifier } from "../sql/identifier.ts";
import type { Parameters } from "../sql/parameters.ts";
import {
  buildAmongSql,
  buildCompleteSql,
  buildCountSql,
  buildEqualSql,
  buildReinsertSql,
  buildRestoreSql,
  buildStoreInsertedCellsSql,
  buildStoreInsertedSql,
  buildStoreSql,
} from "./change-images.ts";
import type { Images } from "./change-images.ts";
import { ASSERT_TABLE, IMAGE_TABLE, JOURNAL_TABLE } from "./change-journal.ts";
import type { Assertion } from "./change-journal.ts";
import { buildSchemaTextSql } from "./change-table.ts";
import type { ChangeableTable } from "./change-table.ts";
import { quoteColumnOf } from "./change-show.ts";
import { buildStatement } from "./change-statement.ts";
import type { ChangeStatement } from "./change-statement.ts";

/** More rows than any rule allows: the assertion that follows finds them. */
const MAX_ROWS = MAX_CHANGED_ROWS + 1;

/** Builds the statements that apply a change. */
export function buildApplyStatements(
  table: ChangeableTable,
  change: PlannedChange,
  nowMs: number,
): readonly ChangeStatement[] {
  const { id, undoes, plan, previewId } = change;
  const steps = undoes === null ? buildChangeSteps(table, change) : buildUndoSteps(table, change, undoes);
  return [
    buildStatement(
      (parameters) =>
        `INSERT INTO ${JOURNAL_TABLE} (change_id, dataset, outcome, at_ms, undoes) VALUES (${parameters.bind(id)}, ` +
        `${parameters.bind(plan.dataset.id)}, 'applied', ${parameters.bind(nowMs)}, ${bindText(undoes, parameters)})`,
    ),
    assertThat(id, "schema_unchanged", (parameters) => {
      const name = parameters.bind(plan.dataset.table);
      return `${buildSchemaTextSql(name)} = ${parameters.bind(table.schemaText)}`;
    }),
    ...steps,
    buildStatement((parameters) => `DELETE FROM ${ASSERT_TABLE} WHERE change_id = ${parameters.bind(id)}`),
    buildStatement(
      (parameters) =>
        `DELETE FROM ${IMAGE_TABLE} WHERE change_id = ${parameters.bind(previewId)} AND phase = 'preview'`,
    ),
    buildStatement((parameters) => buildChangedRowsSql(id, parameters)),
  ];
}

/** Builds the SELECT of how many rows an applied change has. */
export function buildChangedRowsSql(id: string, parameters: Parameters): string {
  return `SELECT coalesce(max(row), 0) AS rows FROM ${IMAGE_TABLE} WHERE change_id = ${parameters.bind(id)} AND phase <> 'preview'`;
}

function buildChangeSteps(table: ChangeableTable, change: PlannedChange): readonly ChangeStatement[] {
  const { id, plan, previewId } = change;
  const [before, after] = listImages(id);
  const quoteColumn = quoteColumnOf(plan.dataset);
  const grant = requireGrant(plan);
  const rowCount = requireRowCount(change);
  const isInsert = plan.operation === "insert";
  const assertAllowed = (images: Images): ChangeStatement =>
    assertThat(id, "rows_allowed", (parameters) => {
      const row = { parameters, quoteColumn };
      const writable = plan.operation === "delete" ? "1" : buildWritableSql(plan, row);
      return buildAllSql(table, images, `(${buildGrantRowsSql(grant, row)}) AND (${writable})`, parameters);
    });
  return [
    ...(isInsert ? [] : [storeRows(table, before, (parameters) => buildMatchSql(plan, { parameters, quoteColumn }))]),
    assertThat(id, "rows_unchanged", (parameters) => {
      const equal = buildEqualSql(before, { id: previewId, phase: "preview" }, parameters);
      return `${equal} AND ${buildCountSql(before, parameters)} = ${isInsert ? 0 : rowCount}`;
    }),
    ...(isInsert ? [] : [assertAllowed(before)]),
    ...buildChange(table, change, { before, after }),
    ...(isInsert ? [assertAllowed(after)] : []),
    ...(grant.mayLeaveSight ? [] : [assertInSight(table, after, plan, id)]),
    assertThat(id, "rows_complete", (parameters) =>
      buildCompleteSql(table, after, plan.operation === "delete" ? 0 : rowCount, parameters),
    ),
  ];
}

function buildChange(
  table: ChangeableTable,
  change: PlannedChange,
  { before, after }: { readonly before: Images; readonly after: Images },
): readonly ChangeStatement[] {
  const { id, plan } = change;
  const { operation, values } = plan;
  const assertChanged = assertChanges(id, requireRowCount(change));
  const storeAfter = storeRows(table, after, (parameters) => buildAmongSql(table, before, parameters));
  switch (operation) {
    case "insert":
      return [
        buildStatement((parameters) => {
          const names = values.map(({ column }) => quoteIdentifier(column.name));
          const bound = values.map(({ column, value }) => castValue(column.type, value, parameters));
          return `INSERT OR ABORT INTO ${table.from} (${names.join(", ")}) VALUES (${bound.join(", ")})`;
        }),
        buildStatement((parameters) => buildStoreInsertedSql(after, parameters)),
        buildStatement((parameters) => buildStoreInsertedCellsSql(table, after, parameters)),
      ];
    case "update":
      return [
        buildStatement((parameters) => {
          const sets = values.map(
            ({ column, value }) => `${quoteIdentifier(column.name)} = ${castValue(column.type, value, parameters)}`,
          );
          return `UPDATE OR ABORT ${table.from} SET ${sets.join(", ")} WHERE ${buildAmongSql(table, before, parameters)}`;
        }),
        assertChanged,
        storeAfter,
      ];
    case "delete":
      return [
        buildStatement((parameters) => `DELETE FROM ${table.from} WHERE ${buildAmongSql(table, before, parameters)}`),
        assertChanged,
        storeAfter,
      ];
  }
}

/** The rows of an undo are those that the change left; what it restores are those from before the change. */
function buildUndoSteps(table: ChangeableTable, change: PlannedChange, undoes: string): readonly ChangeStatement[] {
  const { id, plan, previewId } = change;
  const [before, after] = listImages(id);
  const [restored, left] = listImages(undoes);
  const grant = requireGrant(plan);
  const rowCount = requireRowCount(change);
  const quoteColumn = quoteColumnOf(plan.dataset);
  const assertRows = (images: Images, includesRule: boolean): ChangeStatement =>
    assertThat(id, "rows_allowed", (parameters) => {
      const row = { parameters, quoteColumn };
      const rule = includesRule ? ` AND (${buildGrantRowsSql(grant, row)})` : "";
      return buildAllSql(table, images, `(${buildVisibleSql(plan.read, row)})${rule}`, parameters);
    });
  const isInsert = plan.operation === "insert";
  const [leftRows, restoredRows] = [plan.operation === "delete" ? 0 : rowCount, isInsert ? 0 : rowCount];
  return [
    storeRows(table, before, (parameters) => buildAmongSql(table, left, parameters)),
    assertThat(id, "rows_unchanged", (parameters) => {
      const preview = buildEqualSql(before, { id: previewId, phase: "preview" }, parameters);
      const kept = [
        buildCompleteSql(table, left, leftRows, parameters),
        buildCompleteSql(table, restored, restoredRows, parameters),
      ];
      return [preview, buildEqualSql(before, left, parameters), ...kept].join(" AND ");
    }),
    assertRows(before, isInsert),
    buildStatement((parameters) => {
      if (isInsert) return `DELETE FROM ${table.from} WHERE ${buildAmongSql(table, left, parameters)}`;
      return plan.operation === "delete"
        ? buildReinsertSql(table, restored, parameters)
        : buildRestoreSql(table, restored, parameters);
    }),
    assertChanges(id, rowCount),
    storeRows(table, after, (parameters) => buildAmongSql(table, restored, parameters)),
    ...(isInsert ? [] : [assertRows(after, true)]),
    assertThat(id, "rows_complete", (parameters) => buildEqualSql(after, restored, parameters)),
  ];
}

function requireGrant({ grants }: ChangePlan): ChangeGrant {
  const [grant] = grants;
  if (grant === undefined) throw new TypeError("a change without a grant cannot be applied");
  return grant;
}

function requireRowCount({ rowCount }: PlannedChange): number {
  if (rowCount === null) throw new TypeError("a change without a preview cannot be applied");
  return rowCount;
}

/** Asserts how many rows the statement before it has changed: a trigger may keep rows from it. */
function assertChanges(id: string, rowCount: number): ChangeStatement {
  return assertThat(id, "rows_complete", () => `changes() = ${rowCount}`);
}

function listImages(id: string): readonly [Images, Images] {
  return [
    { id, phase: "before" },
    { id, phase: "after" },
  ];
}

function storeRows(
  table: ChangeableTable,
  images: Images,
  buildCondition: (parameters: Parameters) => string,
): ChangeStatement {
  return buildStatement((parameters) => {
    const condition = buildCondition(parameters);
    return buildStoreSql(table, images, { condition, maxRows: MAX_ROWS }, parameters);
  });
}

/** Builds a statement that fails unless a condition holds. */
function assertThat(id: string, assertion: Assertion, build: (parameters: Parameters) => string): ChangeStatement {
  return buildStatement((parameters) => {
    const condition = build(parameters);
    return `INSERT INTO ${ASSERT_TABLE} (change_id, ${assertion}) VALUES (${parameters.bind(id)}, (${condition}) IS TRUE)`;
  });
}

function assertInSight(table: ChangeableTable, after: Images, plan: ChangePlan, id: string): ChangeStatement {
  return assertThat(id, "rows_in_sight", (parameters) => {
    const visible = buildVisibleSql(plan.read, { parameters, quoteColumn: quoteColumnOf(plan.dataset) });
    return buildAllSql(table, after, visible, parameters);
  });
}

/** Builds the condition that every row of the images satisfies another one. */
function buildAllSql(table: ChangeableTable, images: Images, condition: string, parameters: Parameters): string {
  return `NOT EXISTS (SELECT 1 FROM ${table.from} WHERE ${buildAmongSql(table, images, parameters)} AND (${condition}) IS NOT TRUE)`;
}

function bindText(text: string | null, parameters: Parameters): string {
  return text === null ? "NULL" : parameters.bind(text);
}
