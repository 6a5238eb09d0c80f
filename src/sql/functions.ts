// Lists the functions that a user's SQL may call: those that read their arguments and nothing else. Every other function is refused,
// including those that later versions of SQLite add.

const TEXT = [
  "char concat concat_ws format glob hex instr length like lower ltrim octet_length printf quote replace rtrim",
  "substr substring trim unhex unicode unistr upper",
].join(" ");
const VALUES = "abs coalesce if ifnull iif likelihood likely max min nullif random round sign typeof unlikely";
const AGGREGATES =
  "avg count group_concat max median min percentile percentile_cont percentile_disc string_agg sum total";
const WINDOWS = "cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number";
const DATES = "current_date current_time current_timestamp date datetime julianday strftime time timediff unixepoch";
const MATH = [
  "acos acosh asin asinh atan atan2 atanh ceil cos cosh degrees exp floor ln log log10 log2 mod pi pow radians",
  "sin sinh sqrt tan tanh trunc",
].join(" ");
const JSON_NAMES = [
  "array array_insert array_length error_position extract group_array group_object insert object patch pretty",
  "quote remove replace set type valid",
].join(" ");

/** Lists the allowed functions by the names that SQLite reports to its authorizer, in lower case. */
export const ALLOWED_FUNCTIONS: ReadonlySet<string> = new Set([
  ...[TEXT, VALUES, AGGREGATES, WINDOWS, DATES, MATH].flatMap((names) => names.split(" ")),
  ...JSON_NAMES.split(" ").flatMap((name) => [`json_${name}`, `jsonb_${name}`]),
  "json",
  "jsonb",
  "->",
  "->>",
]);

/** Lists the functions that make one value of many rows. `max` and `min` with several arguments do not. */
export const AGGREGATE_FUNCTIONS: ReadonlySet<string> = new Set([
  ...AGGREGATES.split(" "),
  ...["json", "jsonb"].flatMap((name) => [`${name}_group_array`, `${name}_group_object`]),
]);

/** Lists the allowed table-valued functions, which read only their arguments. */
export const ALLOWED_TABLE_FUNCTIONS: ReadonlySet<string> = new Set(["json_each", "json_tree"]);

/** The columns that these functions return. */
export const TABLE_FUNCTION_COLUMNS: readonly string[] = "key value type atom id parent fullkey path".split(" ");

/**
 * Lists the allowed functions that return a value for every argument and never raise an error at run time, whatever a row holds. All
 * other allowed functions can fail: on text that is not JSON, an overflow, a pattern or value that is too long, or an argument out of
 * range. A test calls each function of this list with extreme values.
 */
export const TOTAL_FUNCTIONS: ReadonlySet<string> = new Set(
  [
    "char instr length lower ltrim octet_length rtrim substr substring trim unhex unicode upper",
    "coalesce if ifnull iif likelihood likely max min nullif random round sign typeof unlikely",
    "avg count total",
    WINDOWS.replace("ntile", "").replace("nth_value", ""),
    DATES.replace("strftime", ""),
    MATH,
  ].flatMap((names) => names.split(" ").filter((name) => name !== "")),
);

/** Lists the allowed aggregates that fail only while they aggregate: on an overflow, a text that is too long, or an unsuitable value. */
export const FALLIBLE_AGGREGATES: ReadonlySet<string> = new Set(
  [
    "group_concat median percentile percentile_cont percentile_disc string_agg sum",
    "json_group_array json_group_object jsonb_group_array jsonb_group_object",
  ].flatMap((names) => names.split(" ")),
);
