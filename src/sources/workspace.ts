// A person's kept results as a source of tables, behind the same layers of governed SQL as any database. Which results
// they may still use is decided before: those given here are open.
import type { SourceDeclaration, TableDataset } from "../policy/model.ts";
import type { OnRefusal } from "../sql/defence.ts";
import { sqlOf } from "../sql/guard.ts";
import { foldName } from "../sql/identifier.ts";
import { readProblem } from "../sql/problem.ts";
import type { SchemaCopy, SchemaObject, SchemaSnapshot } from "../sql/schema.ts";
import type { Scratch } from "../sql/scratch.ts";
import type { KeptResult, Workspace } from "../workspace/workspace.ts";
import { governedLayers } from "./layers.ts";
import { DatabaseProblem } from "./reading.ts";
import type { Execute, Schema, SchemaKeeper } from "./reading.ts";
import type { OpenTable, TableSource } from "./source.ts";
import { createTableSource } from "./tables.ts";

export const WORKSPACE = "workspace";

/** A Durable Object's SQLite behaves as a D1 database does. */
const DECLARATION: SourceDeclaration = {
  name: WORKSPACE,
  kind: "d1",
  binding: "WORKSPACE",
  recursion: false,
  title: "Workspace",
  description: "Results of this person's queries, kept as tables r1, r2, … for a while",
};

export interface WorkspaceParts {
  readonly workspace: Workspace;
  /** What may be used, of what there is. */
  readonly results: readonly KeptResult[];
  readonly objects: readonly SchemaObject[];
  readonly scratch: Scratch;
  readonly maxSteps: number;
  /** Gets each refusal by a defence. */
  readonly onRefusal: OnRefusal | undefined;
}

export interface WorkspaceSource {
  readonly source: TableSource;
  readonly tables: readonly OpenTable[];
}

export function createWorkspaceSource(parts: WorkspaceParts): WorkspaceSource {
  const { workspace, results, objects, scratch, maxSteps, onRefusal } = parts;
  const tables = results.map(openResult);
  const rows = new Map(results.map((result) => [result.id, result.rows]));
  const snapshot: SchemaSnapshot = { objects, statistics: [], rows };
  const datasets = tables.map(({ dataset }) => dataset);
  const execute = executeOn(workspace);
  const source: TableSource = {
    kind: "d1",
    declaration: DECLARATION,
    datasets,
    async read(open, statement, values, options) {
      // Only what is named is copied, each time the schema is looked at.
      const named = results.filter(({ id }) => statement.names.has(foldName(id))).map(({ id }) => id);
      const schemas = keeperOf(snapshot, named, scratch);
      const layers = governedLayers({ allowsRecursion: DECLARATION.recursion, maxSteps, onRefusal });
      const reader = createTableSource({ declaration: DECLARATION, datasets, schemas, layers, tokens: null, execute });
      return reader.read(open, statement, values, options);
    },
    reveal: async () => undefined,
  };
  return { source, tables };
}

const PLAIN = {
  type: "text",
  description: "",
  untrusted: false,
  hidden: false,
  references: null,
  examples: [],
} as const;

/** Values are masked already: a result has every column that was shown when it was made. */
function openResult({ id, columns }: KeptResult): OpenTable {
  const dataset: TableDataset = {
    kind: "table",
    id: `${WORKSPACE}.${id}`,
    source: WORKSPACE,
    table: id,
    description: "",
    key: null,
    hidden: false,
    columns: columns.map(({ name }) => ({ name, ...PLAIN })),
  };
  const clear = Object.fromEntries(columns.map(({ name }) => [name, { kind: "clear" as const }]));
  const rule = `own/allow/read/${dataset.id}`;
  return {
    dataset,
    decision: { allowed: true, dataset, grants: [{ rule, rows: null, columns: clear, reveal: [] }], rules: [rule] },
  };
}

/** What was read of a workspace when the call began: should a result have gone since, the call ends with that, however often it tries. */
function keeperOf(snapshot: SchemaSnapshot, tables: readonly string[], scratch: Scratch): SchemaKeeper {
  let open: SchemaCopy | undefined;
  const schema: Schema = {
    use(work) {
      // A layer may ask for a copy while it works with one.
      if (open !== undefined) return work(open);
      return scratch.use(snapshot, tables, (copy) => {
        open = copy;
        try {
          return work(copy);
        } finally {
          open = undefined;
        }
      });
    },
  };
  return { open: async () => schema, forget: () => {} };
}

function executeOn(workspace: Workspace): Execute {
  return async ({ request, query, companions }) => {
    const statements = [...companions, { sql: sqlOf(query), parameters: query.parameters }];
    const records = await workspace.run(statements).catch((thrown: unknown) => {
      throw new DatabaseProblem(readProblem(thrown, request, query));
    });
    return {
      records: records.at(-1) ?? [],
      companions: records.slice(0, -1),
      columns: [],
      used: query.used,
      bookmark: null,
    };
  };
}
