// Layer 3 of governed SQL: SQLite's own account of what the composed statement does, before any database runs it. Every
// column read must be one that a guard view reads, inside that view; every function must be on the list; nothing may write.
import { ALLOW, DENY } from "./engine/sqlite.ts";
import { ALLOWED_FUNCTIONS, ALLOWED_TABLE_FUNCTIONS } from "./functions.ts";
import { foldName, reservedPrefixOf } from "./identifier.ts";
import type { SchemaCopy } from "./schema.ts";

/** What the nonce CTE of one guard view reads; of each CTE the view's own table comes first. */
export interface Allowance {
  /** The CTE's name, which nobody can guess. */
  readonly context: string;
  readonly table: string;
  /** Folded names. */
  readonly columns: ReadonlySet<string>;
}

export interface AuthorizeOptions {
  readonly allowances: readonly Allowance[];
  /** Folded names that a CTE of the guard stands before: a read of no column of such a name cannot be of a table. */
  readonly shadowed: ReadonlySet<string>;
  readonly allowsRecursion: boolean;
}

export type Verdict =
  /** `columns` are the result's, by name, in order. */
  | { readonly kind: "allowed"; readonly columns: readonly string[] }
  | { readonly kind: "forbidden"; readonly what: Forbidden }
  /** SQLite does not take it. Its message and the UTF-8 bytes before the place that it is about, or -1. */
  | { readonly kind: "invalid"; readonly message: string; readonly offset: number };

export type Forbidden =
  | { readonly kind: "read" }
  | { readonly kind: "function"; readonly name: string }
  | { readonly kind: "recursion" }
  | { readonly kind: "other" };

/** Action codes of sqlite3.h, Authorizer Action Codes. All others are refused. */
const READ = 20;
const SELECT = 21;
const FUNCTION = 31;
const RECURSIVE = 33;

/** Judges one statement over the copy of its database's schema. */
export function authorize(sql: string, copy: SchemaCopy, options: AuthorizeOptions): Verdict {
  const { shadowed, allowsRecursion } = options;
  const allowances = Map.groupBy(options.allowances, ({ context }) => context);
  /** How often the view of a table, by folded name, was taken into the statement. */
  const taken = new Map<string, number>();

  const judgeRead = (table: string, column: string, database: string | null, context: string | null) => {
    const name = foldName(table);
    const own = (context === null ? undefined : allowances.get(context))?.find((one) => foldName(one.table) === name);
    if (database === "main" && own?.columns.has(foldName(column)) === true) return undefined;
    // A view that becomes part of the query around it leaves a FROM of its table there. Where no column of that is used, or
    // only its row number, SQLite reports it without the view: at most as often as the view was taken in.
    if (column === "" && database === "main" && (taken.get(name) ?? 0) > 0) {
      taken.set(name, (taken.get(name) ?? 0) - 1);
      return undefined;
    }
    // A name without a schema and without a column is how SQLite reports a FROM of which no column is used: of a CTE, a
    // subquery or a table-valued function. Of a table only where nothing stands before its name.
    const isNoTable = shadowed.has(name) || !(copy.has(name) || reservedPrefixOf(name) !== undefined);
    if (column === "" && database === null && isNoTable) return undefined;
    if (ALLOWED_TABLE_FUNCTIONS.has(name) && !copy.has(name)) return undefined;
    return { kind: "read" } as const;
  };

  const judge = (
    action: number,
    first: string | null,
    second: string | null,
    database: string | null,
    context: string | null,
  ): Forbidden | undefined => {
    switch (action) {
      case SELECT: {
        const table = context === null ? undefined : allowances.get(context)?.[0]?.table;
        if (table !== undefined) taken.set(foldName(table), (taken.get(foldName(table)) ?? 0) + 1);
        return undefined;
      }
      case READ:
        return judgeRead(first ?? "", second ?? "", database, context);
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

  let forbidden: Forbidden | undefined;
  const compiled = copy.engine.compile(sql, (...asked) => {
    const found = judge(...asked);
    forbidden ??= found;
    return found === undefined ? ALLOW : DENY;
  });
  if (forbidden !== undefined) return { kind: "forbidden", what: forbidden };
  if (!compiled.ok) return { kind: "invalid", message: compiled.message, offset: compiled.offset };
  if (!compiled.isReadOnly || compiled.tail.trim() !== "") return { kind: "forbidden", what: { kind: "other" } };
  return { kind: "allowed", columns: compiled.columns };
}
