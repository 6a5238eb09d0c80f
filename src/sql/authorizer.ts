// Layer 3 of governed SQL: asks SQLite's authorizer what the composed statement does, before any database runs it. A column may be read
// only inside a guard view that may read it, only listed functions may be called, and nothing may be written.
import { ALLOW, DENY } from "./engine/sqlite.ts";
import type { Authorizer, CompileResult, PlanLine } from "./engine/sqlite.ts";
import { ALLOWED_FUNCTIONS, ALLOWED_TABLE_FUNCTIONS } from "./functions.ts";
import { foldName, findReservedPrefix } from "./identifier.ts";
import type { SchemaCopy } from "./schema-copy.ts";

/** What the nonce CTE of one guard view may read. Among the permissions of a CTE, the view's own table comes first. */
export interface ReadPermission {
  /** The CTE's name, which contains the nonce and cannot be guessed. */
  readonly cteName: string;
  readonly table: string;
  /** Folded column names. */
  readonly columns: ReadonlySet<string>;
}

/** What a composed statement may do. */
export interface AuthorizeOptions {
  readonly readPermissions: readonly ReadPermission[];
  /** Folded names that a CTE of the guard shadows: a read of such a name without a column cannot reach a table. */
  readonly shadowedNames: ReadonlySet<string>;
  readonly allowsRecursion: boolean;
}

/** The result of judging a statement. */
export type Verdict =
  /** `columns` are the names of the result columns, in order. */
  | { readonly kind: "allowed"; readonly columns: readonly string[] }
  | { readonly kind: "forbidden"; readonly action: ForbiddenAction }
  /** SQLite rejects it. `offset`: UTF-8 bytes before the place that the message is about, or -1. */
  | { readonly kind: "invalid"; readonly message: string; readonly offset: number };

/** The first action of a statement that is not allowed. */
export type ForbiddenAction =
  | { readonly kind: "read" }
  | { readonly kind: "function"; readonly name: string }
  | { readonly kind: "recursion" }
  | { readonly kind: "other" };

/** Action codes (sqlite3.h, Authorizer Action Codes). All others are refused. */
const READ = 20;
const SELECT = 21;
const FUNCTION = 31;
const RECURSIVE = 33;

/** A compilation that allowed every action and recorded it, to be judged later. */
export interface RecordedCompilation {
  readonly sql: string;
  readonly actions: readonly Parameters<Authorizer>[];
  readonly result: CompileResult;
}

/** Compiles a statement for its plan, and records what the authorizer would have judged. */
export function recordCompilation(
  sql: string,
  { engine }: SchemaCopy,
): { readonly compilation: RecordedCompilation; readonly plan: readonly PlanLine[] } {
  const actions: Parameters<Authorizer>[] = [];
  const { compiled, plan } = engine.compileWithPlan(sql, (...action) => {
    actions.push(action);
    return ALLOW;
  });
  return { compilation: { sql, actions, result: compiled }, plan };
}

/**
 * Judges one composed statement over the copy of its database's schema. A recorded compilation of exactly this statement saves compiling
 * it again.
 */
export function authorize(
  sql: string,
  copy: SchemaCopy,
  options: AuthorizeOptions,
  recorded?: RecordedCompilation,
): Verdict {
  const { shadowedNames, allowsRecursion } = options;
  const permissionsByCte = Map.groupBy(options.readPermissions, ({ cteName }) => cteName);
  /** How often SQLite has merged the guard view of a table into the statement, by folded name. */
  const inlinedViews = new Map<string, number>();

  const judgeRead = (table: string, column: string, database: string | null, cteName: string | null) => {
    const name = foldName(table);
    const permission = (cteName === null ? undefined : permissionsByCte.get(cteName))?.find(
      (candidate) => foldName(candidate.table) === name,
    );
    if (database === "main" && permission?.columns.has(foldName(column)) === true) return undefined;
    // A view that SQLite merges into the query around it leaves a FROM of its table there. If no column of that FROM is used, or only the
    // rowid, SQLite reports the read without the view's name, at most once for each time that the view was merged.
    if (column === "" && database === "main" && (inlinedViews.get(name) ?? 0) > 0) {
      inlinedViews.set(name, (inlinedViews.get(name) ?? 0) - 1);
      return undefined;
    }
    // SQLite reports a FROM of which no column is used without a schema and without a column. The name is a CTE's, a subquery's or a
    // table-valued function's; it is a table's only if nothing shadows it.
    const cannotBeTable = shadowedNames.has(name) || !(copy.has(name) || findReservedPrefix(name) !== undefined);
    if (column === "" && database === null && cannotBeTable) return undefined;
    if (ALLOWED_TABLE_FUNCTIONS.has(name) && !copy.has(name)) return undefined;
    return { kind: "read" } as const;
  };

  const judge = (
    action: number,
    first: string | null,
    second: string | null,
    database: string | null,
    cteName: string | null,
  ): ForbiddenAction | undefined => {
    switch (action) {
      case SELECT: {
        const table = cteName === null ? undefined : permissionsByCte.get(cteName)?.[0]?.table;
        if (table !== undefined) inlinedViews.set(foldName(table), (inlinedViews.get(foldName(table)) ?? 0) + 1);
        return undefined;
      }
      case READ:
        return judgeRead(first ?? "", second ?? "", database, cteName);
      case FUNCTION: {
        const name = foldName(second ?? "");
        return ALLOWED_FUNCTIONS.has(name) ? undefined : { kind: "function", name };
      }
      case RECURSIVE:
        return allowsRecursion ? undefined : { kind: "recursion" };
      default:
        return { kind: "other" };
    }
  };

  let forbiddenAction: ForbiddenAction | undefined;
  const judgeNext: Authorizer = (...action) => {
    const refusedAction = judge(...action);
    forbiddenAction ??= refusedAction;
    return refusedAction === undefined ? ALLOW : DENY;
  };
  const isRecorded = recorded?.sql === sql;
  const compiled = isRecorded ? recorded.result : copy.engine.compile(sql, judgeNext);
  if (isRecorded) for (const action of recorded.actions) judgeNext(...action);
  if (forbiddenAction !== undefined) return { kind: "forbidden", action: forbiddenAction };
  if (!compiled.ok) return { kind: "invalid", message: compiled.message, offset: compiled.offset };
  if (!compiled.isReadOnly || compiled.tail.trim() !== "") return { kind: "forbidden", action: { kind: "other" } };
  return { kind: "allowed", columns: compiled.columns };
}
