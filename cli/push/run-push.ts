// Runs the steps of a push from where its record says that it is.
import type { DatabaseSync } from "node:sqlite";
import { quoteIdentifier } from "../../src/sql/identifier.ts";
import type { BoundStatement } from "../cloudflare-api/platform.ts";
import { PlatformError } from "../cloudflare-api/platform.ts";
import { CliError } from "../kit/cli-error.ts";
import { createProgress } from "../kit/progress.ts";
import type { Progress } from "../kit/progress.ts";
import { listDropsOfOld, switchStatements } from "./replace.ts";
import { readTarget } from "./push-record.ts";
import type { PushJournal, Target } from "./push-record.ts";
import { PUSH_PREFIX } from "./push-plan.ts";
import type { PlannedTable, PushPlan, Step } from "./push-plan.ts";
import { listBatches } from "./push-rows.ts";

/** A push that has begun. */
export interface RunningPush {
  readonly source: string;
  readonly database: DatabaseSync;
  readonly target: Target;
  readonly plan: PushPlan;
  readonly journal: PushJournal;
}

/** Runs all steps that are left. Throws `CliError` that names the object when the API refuses a step. */
export async function runPush(push: RunningPush): Promise<void> {
  const { plan, journal } = push;
  const rowSteps = plan.steps.flatMap((step) => (step.kind === "rows" ? [step.table] : []));
  const total = rowSteps.reduce((sum, { rows }) => sum + rows, 0);
  const progress = createProgress({ verb: "Sending", total, done: countSent(push) });
  try {
    for (let step = journal.record.step; step < plan.steps.length; step = journal.record.step) {
      const current = plan.steps[step];
      if (current === undefined) throw new TypeError(`there is no step ${step}`);
      await runStep(push, current, progress).catch((error: unknown) => {
        throw explainRefusal(push.source, current, error);
      });
    }
  } finally {
    progress.finish();
  }
}

/** Rows that earlier runs have sent. */
function countSent({ plan, journal: { record } }: RunningPush): number {
  const isSending = plan.steps[record.step]?.kind === "rows";
  return plan.steps
    .slice(0, record.step)
    .reduce((sum, step) => sum + (step.kind === "rows" ? step.table.rows : 0), isSending ? record.rows : 0);
}

async function runStep(push: RunningPush, step: Step, progress: Progress): Promise<void> {
  const { journal, target, plan } = push;
  const next = { step: journal.record.step + 1, rows: 0 };
  switch (step.kind) {
    case "create":
      return journal.advance(next, bind(createStatements(step.table)));
    case "rows":
      return sendRows(push, step.table, progress);
    case "close":
      return journal.advance(next, bind(closeStatements(step.tables)));
    case "switch":
      return journal.advance(
        next,
        bind(await switchStatements(target, plan.tables, step.views, journal.record.isReplacing)),
      );
    case "dropOld": {
      for (const drops of await listDropsOfOld(target)) {
        const { step: at, rows } = journal.record;
        await journal.advance({ step: at, rows: rows + 1 }, bind(drops));
      }
      return journal.advance(next, []);
    }
    case "index":
      return journal.advance(next, bind([step.object.sql]));
    case "dropKeys": {
      const rows = await readTarget(
        target,
        `SELECT name FROM sqlite_schema WHERE type = 'index' AND name LIKE '${PUSH_PREFIX.replaceAll("_", "\\_")}key%' ESCAPE '\\'`,
      );
      return journal.advance(next, bind(rows.map(({ name }) => `DROP INDEX ${quoteIdentifier(String(name))}`)));
    }
    case "analyze":
      return journal.advance(next, bind(["ANALYZE"]));
  }
}

function bind(statements: readonly string[]): readonly BoundStatement[] {
  return statements.map((sql) => ({ sql, params: [] }));
}

function createStatements({ waiting, columns, stageSql, keyIndexes }: PlannedTable): readonly string[] {
  // Columns without a type keep every value as it is.
  if (waiting !== undefined)
    return [`CREATE TABLE ${waiting} (${columns.map((_column, index) => `c${index}`).join(", ")})`];
  return [stageSql, ...keyIndexes];
}

function closeStatements(tables: readonly PlannedTable[]): readonly string[] {
  return [
    "PRAGMA defer_foreign_keys = on",
    ...tables.flatMap(({ stageSql, keyIndexes }) => [stageSql, ...keyIndexes]),
    ...tables.map(
      ({ stage, waiting, columns }) =>
        `INSERT INTO ${stage} (${columns.map(quoteIdentifier).join(", ")}) ` +
        `SELECT ${columns.map((_column, index) => `c${index}`).join(", ")} FROM ${waiting} ORDER BY rowid`,
    ),
    ...tables.map(({ waiting }) => `DROP TABLE ${waiting}`),
  ];
}

async function sendRows(
  { database, journal, target }: RunningPush,
  table: PlannedTable,
  progress: Progress,
): Promise<void> {
  const { step } = journal.record;
  for (const { rows, statement } of listBatches(database, table, journal.record.rows, target.batchLength)) {
    await journal.advance({ step, rows: journal.record.rows + rows }, [statement]);
    progress.add(table.name, rows);
  }
  await journal.advance({ step: step + 1, rows: 0 }, []);
}

/** Says which object the API refused, and what the operator can do. */
function explainRefusal(source: string, step: Step, error: unknown): unknown {
  if (!(error instanceof PlatformError)) return error;
  const hint =
    error.status === 413
      ? "The request was too large. A row with values this large cannot be sent through the API: shorten it in the local database."
      : `The deployed data is as it was, or complete. Correct the cause, and run npm run gatehouse -- push ${source} again.`;
  return new CliError(`D1 refused ${describeStep(source, step)}: ${error.reasons || error.message}`, {
    hint,
    cause: error,
  });
}

function describeStep(source: string, step: Step): string {
  switch (step.kind) {
    case "create":
      return `the table ${source}.${step.table.name}`;
    case "rows":
      return `rows of ${source}.${step.table.name}`;
    case "close":
      return `the rows of ${step.tables.map(({ name }) => `${source}.${name}`).join(", ")}, which refer to each other and go in one transaction`;
    case "switch":
      return "to put the new tables and views in their place";
    case "dropOld":
      return "to drop the old tables";
    case "index":
      return `the index ${step.object.name}`;
    case "dropKeys":
      return "to drop the indexes of the push";
    case "analyze":
      return "to count the values of indexes (ANALYZE)";
  }
}
