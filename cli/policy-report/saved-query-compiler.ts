// Compiles saved queries as a read does, up to where the database would see them: guard views, then SQLite under its authorizer. The
// tables are empty and have the columns that the policy file declares.
import { AppError } from "../../src/errors.ts";
import type { AllowedDecision, ColumnType, Policy, SavedQuery, TableDataset } from "../../src/policy/model.ts";
import { createGuardView } from "../../src/policy/guard-view.ts";
import { quoteIdentifier } from "../../src/sql/identifier.ts";
import type { SchemaCopy, SchemaSnapshot } from "../../src/sql/schema-copy.ts";
import { classifyDatabaseError } from "../../src/sql/sql-problem.ts";
import { PLAIN_FORM, frameQuery, guardQuery, toSql } from "../../src/sql/statement-guard.ts";
import { parseTrustedStatement } from "../../src/sql/statement.ts";
import { loadWasmAsModules } from "../project/wasm-modules.ts";

/** Compiles a saved query over what a user reads; returns the error that an assistant gets, undefined if there is none. */
export type Compile = (query: SavedQuery, readable: readonly AllowedDecision[]) => string | undefined;

const OPTIONS = { nonce: "check", maxReadRows: 1, ...PLAIN_FORM, findStorageOrder: () => undefined } as const;

/** Loads the modules, and copies the declared tables of each source once. */
export async function loadCompiler(policy: Policy): Promise<Compile> {
  loadWasmAsModules();
  const [{ copySchema }, { authorize }, { createForbiddenError }] = await Promise.all([
    import("../../src/sql/schema-copy.ts"),
    import("../../src/sql/authorizer.ts"),
    import("../../src/read/governed-middleware.ts"),
  ]);
  const copies = new Map<string, SchemaCopy>();
  const openCopy = (source: string): SchemaCopy => {
    const tables = policy.datasets.filter(
      (dataset): dataset is TableDataset => dataset.kind === "table" && dataset.source === source,
    );
    const copy =
      copies.get(source) ??
      copySchema(
        snapshotOf(tables),
        tables.map(({ table }) => table),
      );
    copies.set(source, copy);
    return copy;
  };

  return ({ text, order, source }, readable) => {
    const statement = parseTrustedStatement(text);
    const views = readable.map((decision) => createGuardView(decision, requireTable(decision), String));
    try {
      const query = guardQuery(
        statement,
        frameQuery(
          statement,
          order.map(() => null),
          OPTIONS,
        ),
        views,
        OPTIONS,
      );
      const allowsRecursion = policy.sources.some(({ name, recursion }) => name === source && recursion);
      const verdict = authorize(toSql(query), openCopy(source), { ...query, allowsRecursion });
      if (verdict.kind === "allowed") return undefined;
      if (verdict.kind === "forbidden") return createForbiddenError(verdict.action).publicMessage;
      // Without the position: parameters have another length here than in the policy file.
      const context = { statement, views, nonce: OPTIONS.nonce };
      return classifyDatabaseError(new Error(verdict.message), context, query).error.publicMessage;
    } catch (error) {
      if (error instanceof AppError) return error.publicMessage;
      throw error;
    }
  };
}

function requireTable({ dataset }: AllowedDecision): TableDataset {
  if (dataset.kind !== "table") throw new TypeError("a saved query reads tables");
  return dataset;
}

/** SQLite's type for a declared type. */
const TYPES: Readonly<Partial<Record<ColumnType, string>>> = { integer: "INTEGER", boolean: "INTEGER", real: "REAL" };

function snapshotOf(tables: readonly TableDataset[]): SchemaSnapshot {
  const objects = tables.map(({ table, columns }) => {
    const list = columns.map(({ name, type }) => `${quoteIdentifier(name)} ${TYPES[type] ?? "TEXT"}`).join(", ");
    return { type: "table", name: table, table, rootPage: 0, sql: `CREATE TABLE ${quoteIdentifier(table)} (${list})` };
  });
  return { objects, statistics: [], rowCounts: new Map() };
}
