// Runs a governed read through the middleware, and owns every retry: a table says which failures of an attempt another attempt can cure,
// how, and how often. An error that the user's own SQL causes is never retried, because whether it occurs may depend on hidden rows.
import { AppError } from "../errors.ts";
import { newId } from "../lib/ids.ts";
import { PLAIN_FORM, frameQuery, listUsedViews } from "../sql/statement-guard.ts";
import type { GuardView, ViewForm } from "../sql/statement-guard.ts";
import { isWord } from "../sql/clauses.ts";
import { nestCompounds } from "../sql/compound-nesting.ts";
import { foldName } from "../sql/identifier.ts";
import { findTableComparisons } from "../sql/result-shape.ts";
import { namesRowid, replaceRowids } from "../sql/rowid-names.ts";
import type { Statement } from "../sql/statement.ts";
import { DatabaseError, OrderLeak, SchemaDrift, UncountedBytes, compose } from "./read-pipeline.ts";
import type {
  AttemptSettings,
  Execute,
  ExecutionResult,
  Middleware,
  ReadRequest,
  Schema,
  SchemaCache,
} from "./read-pipeline.ts";

/** A read as its source asks for it. */
export type ReadOrder = Omit<ReadRequest, "nonce" | "form" | "sortsViews" | "hasLeakedOrder" | "countsBytes">;

/** An attempt that succeeded. */
export interface SuccessfulAttempt {
  readonly execution: ExecutionResult;
  /** The statement as it ran: with the key column in place of each rowid, and with compound SELECTs of at most five terms. */
  readonly statement: Statement;
  readonly nonce: string;
}

/** Creates masking tokens that a read missed. */
export interface MissingTokens {
  fill(statement: Statement): Promise<void>;
}

interface ExecutorParts {
  /** The name of the source, for messages. */
  readonly sourceName: string;
  readonly schemaCache: SchemaCache;
  readonly middleware: readonly Middleware[];
  /** Runs the composed statement after the last middleware, as one batch. */
  readonly execute: Execute;
  /** Null if no rule masks a column with masking tokens. */
  readonly missingTokens: MissingTokens | null;
}

/** The most attempts at one read. Each sends at most one batch to the database. */
export const MAX_ATTEMPTS = 4;

/** What the remedies of one read work on. */
interface ReadState {
  readonly parts: ExecutorParts;
  readonly order: ReadOrder;
  readonly schema: Schema;
  readonly settings: AttemptSettings;
}

/** A kind of failure that another attempt can cure. */
interface Remedy {
  readonly cause: "schema" | "masking tokens" | "row order" | "bytes";
  readonly matches: (error: unknown) => boolean;
  /** Returns the settings of the next attempt. Throws if there is nothing to gain from one. */
  readonly apply: (state: ReadState, error: unknown) => AttemptSettings | Promise<AttemptSettings>;
  readonly atMost: number;
  /** The error when the failure occurs again. */
  readonly giveUp: (parts: ExecutorParts, error: unknown) => unknown;
}

const REMEDIES: readonly Remedy[] = [
  {
    // The schema has changed since it was copied, the replica lags behind, or another read broke the copy.
    cause: "schema",
    matches: (error) => error instanceof SchemaDrift || (error instanceof DatabaseError && error.problem.isDrift),
    apply({ parts, schema, settings }) {
      parts.schemaCache.invalidate(schema);
      return { ...settings, bookmark: PRIMARY };
    },
    atMost: 1,
    giveUp: ({ sourceName }, cause) =>
      new AppError("source_unavailable", `The tables of ${sourceName} are changing. Try again in a minute.`, { cause }),
  },
  {
    // A guard view fails on purpose on a value that has no masking token yet.
    cause: "masking tokens",
    matches: (error) => error instanceof DatabaseError && error.problem.isMaskingTokenMissing,
    async apply({ parts: { missingTokens }, order, settings }, error) {
      if (missingTokens === null) throw error;
      await missingTokens.fill(order.statement);
      return { ...settings, bookmark: PRIMARY };
    },
    atMost: 1,
    giveUp: ({ sourceName }, cause) =>
      new AppError(
        "source_unavailable",
        `The masking tokens of ${sourceName} are still being created. Try again in a minute.`,
        { cause },
      ),
  },
  {
    cause: "row order",
    matches: (error) => error instanceof OrderLeak,
    apply: ({ settings }) => ({ ...settings, sortsViews: true, hasLeakedOrder: true }),
    atMost: 1,
    giveUp: (_parts, error) => error,
  },
  {
    cause: "bytes",
    matches: (error) => error instanceof UncountedBytes,
    apply: ({ settings }) => ({ ...settings, countsBytes: true }),
    atMost: 1,
    giveUp: (_parts, error) => error,
  },
];

/** Reads of the primary see every schema and masking token. */
const PRIMARY = "first-primary";

const NO_FINDINGS = { sortsViews: false, hasLeakedOrder: false, countsBytes: false };

/** The view form to start with, before the planner knows the indexes and what the statement does. */
const SAFEST_FORM: ViewForm = { ...PLAIN_FORM, fenced: true, ordering: "sorted" };

/** Creates the function that runs reads. It throws `AppError`, `DatabaseError`, and an error of the middleware that no remedy cured. */
export function createReadExecutor(parts: ExecutorParts): (order: ReadOrder) => Promise<SuccessfulAttempt> {
  const execute = compose(parts.middleware, parts.execute);

  async function attempt(order: ReadOrder, settings: AttemptSettings, schema: Schema): Promise<SuccessfulAttempt> {
    const nonce = newId();
    const statement = nestLongCompounds(resolveRowids(order, schema), order, schema);
    const query = frameQuery(statement, order.values, order);
    const request = { ...order, ...settings, statement, nonce, form: SAFEST_FORM };
    return { execution: await execute({ request, query, schema, checkStatements: [] }), statement, nonce };
  }

  return async (order) => {
    const applied = new Map<Remedy, number>();
    let settings: AttemptSettings = { ...NO_FINDINGS, bookmark: order.bookmark };
    for (let attempts = 1; ; attempts += 1) {
      // The last attempts take no risk of another retry.
      if (attempts > 2) settings = { ...settings, sortsViews: true, countsBytes: true };
      const schema = await parts.schemaCache.open(listUsedViews(order.statement, order.views).map(({ name }) => name));
      try {
        return await attempt(order, settings, schema);
      } catch (error) {
        const remedy = REMEDIES.find(({ matches }) => matches(error));
        if (remedy === undefined) throw error;
        const times = applied.get(remedy) ?? 0;
        if (times >= remedy.atMost || attempts >= MAX_ATTEMPTS) throw remedy.giveUp(parts, error);
        applied.set(remedy, times + 1);
        settings = await remedy.apply({ parts, order, schema, settings }, error);
      }
    }
  };
}

/** Puts the key column in place of each rowid. Only a column that the view shows can take its place. */
function resolveRowids({ statement, views }: ReadOrder, schema: Schema): Statement {
  if (!namesRowid(statement)) return statement;
  const tables = listUsedViews(statement, views).map(({ name, columns }: GuardView) => {
    const key = schema.use((copy) => copy.getTableShape(name).rowidColumn);
    return { name, columns, rowidColumn: columns.find((column) => foldName(column) === key) };
  });
  return replaceRowids(statement, tables);
}

/** Nests compound SELECTs that have more terms than D1 accepts. */
function nestLongCompounds(statement: Statement, { views }: ReadOrder, schema: Schema): Statement {
  return nestCompounds(
    statement,
    () =>
      statement.tokens.some((token) => isWord(token, "collate")) ||
      listUsedViews(statement, views).some(({ name }) =>
        schema
          .use((copy) => [...findTableComparisons(copy, name).values()])
          .some(({ collation }) => collation !== "BINARY"),
      ),
  );
}
