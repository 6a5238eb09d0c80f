// Builds what one subject may see of a change today, and what the audit record of that view names.
import { AppError } from "../errors.ts";
import { BROWSER_CLIENT_ID } from "../audit/browser-operation.ts";
import type { Audited } from "../audit/audit.ts";
import type { Limits } from "../config/define-gatehouse.ts";
import { planUndo } from "../policy/change-plan.ts";
import { formatMask, listVisibleColumns } from "../policy/guard-view.ts";
import type { Subject } from "../policy/model.ts";
import { listTableKeys, takeKeys } from "../answers/shown-keys.ts";
import type { VisibleTable } from "../read/source.ts";
import { isOwnChange, mayDecide, mayDeny } from "./change-access.ts";
import { IS_UNDO, explainEnd } from "./change-explanations.ts";
import type { ChangeTables, TargetTable } from "./change-tables.ts";
import type { ChangeView, Permission } from "./change-view.ts";
import { viewChangedRows } from "./changed-rows.ts";
import type { RowsView } from "./changed-rows.ts";
import type { StoredChange } from "./stored-change.ts";

/** What viewing needs. */
export interface ViewerDependencies {
  readonly tables: ChangeTables;
  readonly limits: Pick<Limits, "undoSeconds">;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Views changes. */
export interface ChangeViewer {
  /** Views a change that the subject may see. Errors: `source_unavailable`. */
  view(change: StoredChange, viewer: Subject, maxRows: number): Promise<Audited<ChangeView>>;
}

/** Creates the viewer. */
export function createChangeViewer({ tables, limits, now }: ViewerDependencies): ChangeViewer {
  async function findUndoPermission(
    change: StoredChange,
    viewer: Subject,
    table: TargetTable,
    hasDrifted: boolean,
  ): Promise<Permission> {
    const refuse = (why: string): Permission => ({ isAllowed: false, why });
    if (change.terms.undoes !== null) return refuse(IS_UNDO);
    if (change.state !== "applied" || change.appliedMs === null) return refuse("Only an applied change can be undone.");
    if (now() - change.appliedMs >= limits.undoSeconds * 1000) return refuse("It is too old to be undone.");
    if ((await table.target.findUndo(change.id)) !== null) return refuse("It has been undone.");
    if (hasDrifted) return refuse("Its rows have changed again since, so they cannot be restored.");
    const decision = tables.decide(viewer, table.dataset);
    if (!decision.allowed) return refuse("You may not make this change, so you may not undo it.");
    try {
      planUndo(decision, { operation: change.terms.operation, columns: Object.keys(change.terms.values) });
      return { isAllowed: true };
    } catch (error) {
      if (error instanceof AppError) return refuse(error.publicMessage);
      throw error;
    }
  }

  return {
    async view(change, viewer, maxRows) {
      const { terms, decision } = change;
      const table = tables.find(terms.dataset);
      const visible = table && tables.read(viewer, table.dataset);
      const isOwn = isOwnChange(change, viewer);
      const rows = await viewChangedRows(change, visible, table?.target, { maxRows, isOwn });
      const gone: Permission = { isAllowed: false, why: "The policy does not declare this table any more." };
      const view: ChangeView = {
        id: change.id,
        dataset: terms.dataset,
        operation: terms.operation,
        undoes: terms.undoes,
        state: change.state,
        approval: change.approval,
        rowCount: change.rowCount,
        requester: change.requester.email,
        proposedMs: change.proposedMs,
        expiresMs: change.expiresMs,
        isOwn,
        client: nameClient(change),
        reason: change.reason,
        explanation: change.endReason === null ? null : explainEnd(change.endReason),
        decision: decision === null || decision.by === "policy" ? null : { ...decision, by: decision.by.email },
        appliedMs: change.appliedMs,
        columns: rows.columns,
        rows: rows.rows,
        unseenRows: rows.unseenRows,
        hasDrifted: rows.hasDrifted,
        proof: change.proof,
        mayDecide: mayDecide(change, viewer, visible, rows.read, now()),
        mayDeny: mayDeny(change, viewer, now()),
        mayUndo: table === undefined ? gone : await findUndoPermission(change, viewer, table, rows.hasDrifted),
      };
      return { answer: view, ...nameShown(visible, rows) };
    },
  };
}

function nameClient({ requester, clientId }: StoredChange): string {
  if (requester.token !== undefined) return "a personal access token";
  return clientId === BROWSER_CLIENT_ID ? "the pages of this server" : clientId;
}

/** Names what a view shows for its audit record. */
function nameShown(
  table: VisibleTable | undefined,
  { rows, columns, read, governedRows }: RowsView,
): Omit<Audited<never>, "answer"> {
  if (table === undefined || rows.length === 0) return { datasets: [], rules: [] };
  const { dataset, decision } = table;
  const hasValues = governedRows.length > 0;
  const masked = listVisibleColumns(decision, dataset).flatMap((column) => {
    const mask = formatMask(column);
    return mask === null ? [] : [`${dataset.id}.${column.name}:${mask}`];
  });
  return {
    datasets: [dataset.id],
    rules: decision.rules,
    columns: columns.map(({ name }) => `${dataset.id}.${name}`),
    keys: takeKeys(listTableKeys(table), read.columns, governedRows),
    masked,
    untrusted: hasValues
      ? columns.filter(({ isUntrusted }) => isUntrusted).map(({ name }) => `${dataset.id}.${name}`)
      : [],
    rows: rows.length,
  };
}
