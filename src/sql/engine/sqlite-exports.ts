// Names what the engine uses of SQLite's WebAssembly module. The build keeps these exports and removes the code that only others reach
// (`cli/project/sqlite-module.ts`).

/** The functions that the engine calls. */
export const SQLITE_FUNCTIONS = [
  "__wasm_call_ctors",
  "free",
  "malloc",
  "sqlite3__wasm_config_i",
  "sqlite3__wasm_db_config_ip",
  "sqlite3__wasm_db_config_pii",
  "sqlite3_column_count",
  "sqlite3_column_name",
  "sqlite3_column_origin_name",
  "sqlite3_column_table_name",
  "sqlite3_column_text",
  "sqlite3_errmsg",
  "sqlite3_error_offset",
  "sqlite3_exec",
  "sqlite3_finalize",
  "sqlite3_initialize",
  "sqlite3_limit",
  "sqlite3_open_v2",
  "sqlite3_prepare_v2",
  "sqlite3_progress_handler",
  "sqlite3_reset",
  "sqlite3_set_authorizer",
  "sqlite3_step",
  "sqlite3_stmt_explain",
  "sqlite3_stmt_readonly",
] as const;

/** The table through which SQLite calls functions. */
export const FUNCTION_TABLE = "__indirect_function_table";

/** Calls a function of the module. */
export type SqliteCall = (name: (typeof SQLITE_FUNCTIONS)[number], ...values: readonly number[]) => number;
