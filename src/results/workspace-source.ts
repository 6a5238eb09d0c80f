// A user's stored results as a table source, behind the same governed-SQL middleware as any database. The caller has already
// decided which results the user may use.
import { LRUCache } from "lru-cache";
import { NO_SPANS } from "../lib/spans.ts";
import type { WithSpan } from "../lib/spans.ts";
import type { SourceDeclaration, TableDataset } from "../policy/model.ts";
import type { OnRefusal } from "../sql/defence-refusal.ts";
import { toSql } from "../sql/statement-guard.ts";
import { foldName } from "../sql/identifier.ts";
import { classifyDatabaseError } from "../sql/sql-problem.ts";
import type { SchemaSnapshot } from "../sql/schema-copy.ts";
import type { SchemaObject } from "../sql/schema-objects.ts";
import type { SchemaSandbox } from "../sql/schema-sandbox.ts";
import type { StoredResult, Workspace } from "./workspace.ts";
import { createGovernedMiddleware } from "../read/governed-middleware.ts";
import { DatabaseError } from "../read/read-pipeline.ts";
import type { Execute, Middleware, Schema, SchemaCache } from "../read/read-pipeline.ts";
import type { VisibleTable, TableSource } from "../read/source.ts";
import { createTableSource } from "../tables/table-source.ts";

/** The name of the workspace as a source. */
export const WORKSPACE = "workspace";

/** The workspace is declared as a D1 source, because SQLite in a Durable Object behaves as D1 does. */
const DECLARATION: SourceDeclaration = {
  name: WORKSPACE,
  kind: "d1",
  binding: "WORKSPACE",
  recursion: false,
  title: "Workspace",
  description: "Results of this user's queries, stored for a limited time as tables r1, r2, …",
};

/** What reads of all workspaces in this isolate share: the layers with their caches, and the schemas that were copied last. */
export interface WorkspaceReading {
  readonly middleware: readonly Middleware[];
  /** Returns the same schema cache for the same tables, so that what the layers know of a statement is found again. */
  openSchemaCache(snapshot: SchemaSnapshot): SchemaCache;
}

interface WorkspaceReadingParts {
  readonly schemaSandbox: SchemaSandbox;
  readonly maxSteps: number;
  /** Called for each refusal by a defence. */
  readonly onRefusal: OnRefusal | undefined;
  readonly withSpan?: WithSpan | undefined;
}

/** Maximum schemas that an isolate remembers, each of a few results. */
const MAX_SCHEMAS = 50;

/** Creates what reads of workspaces share. A schema holds the names and types of results, and no rows. */
export function createWorkspaceReading({
  schemaSandbox,
  maxSteps,
  onRefusal,
  withSpan = NO_SPANS.withSpan,
}: WorkspaceReadingParts): WorkspaceReading {
  const caches = new LRUCache<string, SchemaCache>({ max: MAX_SCHEMAS });
  return {
    middleware: createGovernedMiddleware({
      allowsRecursion: DECLARATION.recursion,
      maxSteps,
      onRefusal,
      spans: { source: WORKSPACE, withSpan },
    }),
    openSchemaCache(snapshot) {
      const key = JSON.stringify([snapshot.objects, [...snapshot.rowCounts]]);
      const cached = caches.get(key) ?? createSnapshotCache(snapshot, schemaSandbox);
      caches.set(key, cached);
      return cached;
    },
  };
}

interface WorkspaceSourceParts {
  readonly workspace: Workspace;
  /** The results that the user may use. */
  readonly results: readonly StoredResult[];
  readonly objects: readonly SchemaObject[];
  readonly reading: WorkspaceReading;
}

/** The table source, with one table per result. */
export interface WorkspaceSource {
  readonly source: TableSource;
  readonly tables: readonly VisibleTable[];
}

/** Creates the table source over the given results. */
export function createWorkspaceSource(parts: WorkspaceSourceParts): WorkspaceSource {
  const { workspace, results, objects, reading } = parts;
  const tables = results.map(toVisibleTable);
  const datasets = tables.map(({ dataset }) => dataset);
  const execute = createWorkspaceExecute(workspace);
  const source: TableSource = {
    kind: "d1",
    declaration: DECLARATION,
    datasets,
    async read(visibleTables, statement, values, options) {
      // Only tables that the SQL names are copied into the schema sandbox, which keeps each copy small.
      const isUsed = (name: string): boolean => statement.names.has(foldName(name));
      const reader = createTableSource({
        declaration: DECLARATION,
        datasets,
        schemaCache: reading.openSchemaCache({
          objects: objects.filter(({ table }) => isUsed(table)),
          statistics: [],
          rowCounts: new Map(results.filter(({ id }) => isUsed(id)).map((result) => [result.id, result.rows])),
        }),
        middleware: reading.middleware,
        maskingTokens: null,
        execute,
      });
      return reader.read(visibleTables, statement, values, options);
    },
    reveal: async () => undefined,
  };
  return { source, tables };
}

const CLEAR_COLUMN = {
  type: "text",
  description: "",
  untrusted: false,
  hidden: false,
  references: null,
  examples: [],
} as const;

/** Opens every column in clear: a result's values were masked when it was stored. */
function toVisibleTable({ id, columns }: StoredResult): VisibleTable {
  const dataset: TableDataset = {
    kind: "table",
    id: `${WORKSPACE}.${id}`,
    source: WORKSPACE,
    table: id,
    description: "",
    isView: false,
    key: [],
    recordKeys: false,
    hidden: false,
    columns: columns.map(({ name, comparedAs }) => ({ name, ...CLEAR_COLUMN, ...(comparedAs && { comparedAs }) })),
  };
  const clear = Object.fromEntries(columns.map(({ name }) => [name, { kind: "clear" as const }]));
  const rule = `own/allow/read/${dataset.id}`;
  return {
    dataset,
    decision: { allowed: true, dataset, grants: [{ rule, rows: null, columns: clear, reveal: [] }], rules: [rule] },
  };
}

/** The schema as it was when the call opened the workspace. If a result is deleted later, the query fails, and rereading cannot help. */
function createSnapshotCache(snapshot: SchemaSnapshot, schemaSandbox: SchemaSandbox): SchemaCache {
  const tables = [...snapshot.rowCounts.keys()];
  const schema: Schema = { use: (work) => schemaSandbox.use(snapshot, tables, work) };
  return { open: async () => schema, invalidate: () => {} };
}

function createWorkspaceExecute(workspace: Workspace): Execute {
  return async ({ request, query, checkStatements }) => {
    const statements = [...checkStatements, { sql: toSql(query), parameters: query.parameters }];
    const records = await workspace.run(statements).catch((thrown: unknown) => {
      throw new DatabaseError(classifyDatabaseError(thrown, request, query));
    });
    return {
      records: records.at(-1) ?? [],
      checkRecords: records.slice(0, -1),
      columns: [],
      bookmark: null,
    };
  };
}
