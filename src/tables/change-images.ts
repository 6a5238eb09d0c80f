// Builds the SQL of row images: the exact values of the rows of a change, cell by cell, which SQLite itself stores, compares and restores.
// No value of a row passes through JavaScript.
import { quoteIdentifier, quoteText } from "../sql/identifier.ts";
import { addUp } from "../sql/result-encoding.ts";
import type { Parameters } from "../sql/parameters.ts";
import type { ChangeableTable } from "./change-table.ts";
import { IMAGE_TABLE } from "./change-journal.ts";

/** The cell with the rowid of a row; no column of a table has this name. */
const ROWID_CELL = "(rowid)";

/** Which images: those of a change before its approval, before it is applied, and after. */
export interface Images {
  readonly id: string;
  readonly phase: "preview" | "before" | "after";
}

function quoteRowid({ from, rowidName }: ChangeableTable): string {
  return `${from}.${rowidName}`;
}

function selectsImages({ id, phase }: Images, parameters: Parameters, alias = ""): string {
  return `${alias}change_id = ${parameters.bind(id)} AND ${alias}phase = ${quoteText(phase)}`;
}

/** Builds the condition that a row of the table is among the rows of the images. */
export function buildAmongSql(table: ChangeableTable, images: Images, parameters: Parameters): string {
  const rowids = `SELECT value FROM ${IMAGE_TABLE} WHERE ${selectsImages(images, parameters)} AND "column" = '${ROWID_CELL}'`;
  return `${quoteRowid(table)} IN (${rowids})`;
}

/** Which rows to store. */
interface StoredRows {
  readonly condition: string;
  readonly maxRows: number;
  /** Whether cells that are stored already stay. */
  readonly verb?: "INSERT" | "INSERT OR IGNORE";
}

/** Builds the statement that stores the images of the rows that satisfy a condition, at most `maxRows`, numbered by their rowid. */
export function buildStoreSql(
  table: ChangeableTable,
  { id, phase }: Images,
  { condition, maxRows, verb = "INSERT" }: StoredRows,
  parameters: Parameters,
): string {
  const names = [ROWID_CELL, ...table.columns.map(({ name }) => name)];
  const cells = names.map((name, index) => {
    const value = index === 0 ? "m.locator" : `${table.from}.${quoteIdentifier(name)}`;
    return `WHEN ${index} THEN ${value}`;
  });
  const rowid = quoteRowid(table);
  return [
    `${verb} INTO ${IMAGE_TABLE} (change_id, phase, row, "column", value)`,
    `SELECT ${parameters.bind(id)}, ${quoteText(phase)}, m.number, c.value, CASE c.key ${cells.join(" ")} END`,
    `FROM (SELECT ${rowid} AS locator, row_number() OVER (ORDER BY ${rowid}) AS number FROM ${table.from}`,
    `WHERE ${condition} ORDER BY ${rowid} LIMIT ${maxRows}) AS m`,
    `JOIN ${table.from} ON ${rowid} = m.locator JOIN json_each(${parameters.bind(JSON.stringify(names))}) AS c`,
  ].join(" ");
}

/**
 * Builds the statement that notes the row that the statement before it has inserted, as the first row of the images. A trigger may have
 * kept the row from being inserted; the last rowid is then another one's.
 */
export function buildStoreInsertedSql({ id, phase }: Images, parameters: Parameters): string {
  return (
    `INSERT INTO ${IMAGE_TABLE} (change_id, phase, row, "column", value) ` +
    `SELECT ${parameters.bind(id)}, ${quoteText(phase)}, 1, '${ROWID_CELL}', last_insert_rowid() WHERE changes() = 1`
  );
}

/** Builds the condition that the images of this many rows have every cell. */
export function buildCompleteSql(
  table: ChangeableTable,
  images: Images,
  rowCount: number,
  parameters: Parameters,
): string {
  const cells = rowCount * (table.columns.length + 1);
  return `(SELECT count(*) FROM ${IMAGE_TABLE} WHERE ${selectsImages(images, parameters)}) = ${cells}`;
}

/** Builds the statement that adds the cells of the row that `buildStoreInsertedSql` has noted. */
export function buildStoreInsertedCellsSql(table: ChangeableTable, images: Images, parameters: Parameters): string {
  const condition = buildAmongSql(table, images, parameters);
  return buildStoreSql(table, images, { condition, maxRows: 1, verb: "INSERT OR IGNORE" }, parameters);
}

/** Builds the condition that two images are equal: the same rows, with values of the same type and bytes. */
export function buildEqualSql(left: Images, right: Images, parameters: Parameters): string {
  const select = (images: Images): string =>
    `SELECT row, "column", typeof(value), value FROM ${IMAGE_TABLE} WHERE ${selectsImages(images, parameters)}`;
  const lacks = (from: Images, other: Images): string => `EXISTS (${select(from)} EXCEPT ${select(other)})`;
  return `NOT ${lacks(left, right)} AND NOT ${lacks(right, left)}`;
}

/** Builds the SELECT of the names of the columns in which an applied update has changed values. */
export function buildDifferingColumnsSql(id: string, parameters: Parameters): string {
  return [
    `SELECT DISTINCT b."column" AS name FROM ${IMAGE_TABLE} AS b JOIN ${IMAGE_TABLE} AS a`,
    `ON a.change_id = b.change_id AND a.phase = 'after' AND a.row = b.row AND a."column" = b."column"`,
    `WHERE ${selectsImages({ id, phase: "before" }, parameters, "b.")}`,
    "AND (a.value IS NOT b.value OR typeof(a.value) <> typeof(b.value))",
  ].join(" ");
}

/** Builds the condition that each row of the images exists and still has their values. */
export function buildCurrentSql(table: ChangeableTable, images: Images, parameters: Parameters): string {
  const cells = table.columns.map(({ name }) => `WHEN ${quoteText(name)} THEN ${table.from}.${quoteIdentifier(name)}`);
  const rowid = quoteRowid(table);
  const current = `CASE i."column" WHEN '${ROWID_CELL}' THEN ${rowid} ${cells.join(" ")} END`;
  return [
    `NOT EXISTS (SELECT 1 FROM ${IMAGE_TABLE} AS i JOIN ${IMAGE_TABLE} AS l`,
    `ON l.change_id = i.change_id AND l.phase = i.phase AND l.row = i.row AND l."column" = '${ROWID_CELL}'`,
    `LEFT JOIN ${table.from} ON ${rowid} = l.value WHERE ${selectsImages(images, parameters, "i.")}`,
    `AND (${rowid} IS NULL OR i.value IS NOT ${current} OR typeof(i.value) <> typeof(${current})))`,
  ].join(" ");
}

/** Builds the bytes of the rows of the table that satisfy a condition, at most of `maxRows` of them. */
export function buildBytesSql(table: ChangeableTable, condition: string, maxRows: number): string {
  const bytes = addUp(
    table.columns.map(({ name }) => `coalesce(octet_length(${table.from}.${quoteIdentifier(name)}), 0)`),
  );
  const rows = `SELECT ${bytes} AS bytes FROM ${table.from} WHERE ${condition} LIMIT ${maxRows}`;
  return `SELECT count(*) AS rows, coalesce(sum(bytes), 0) AS bytes FROM (${rows})`;
}

/** Builds the number of rows of the images. */
export function buildCountSql(images: Images, parameters: Parameters): string {
  return `(SELECT count(*) FROM ${IMAGE_TABLE} WHERE ${selectsImages(images, parameters)} AND "column" = '${ROWID_CELL}')`;
}

/** Builds the join of the images' rows with the table; `l.row` is the number of a row. */
export function buildRowsSql(table: ChangeableTable, images: Images, parameters: Parameters): string {
  return (
    `FROM ${IMAGE_TABLE} AS l JOIN ${table.from} ON ${quoteRowid(table)} = l.value ` +
    `WHERE ${selectsImages(images, parameters, "l.")} AND l."column" = '${ROWID_CELL}'`
  );
}

/** The column of a pivot with the number of the row. */
export const ROW_NUMBER = "(row)";

/** Builds a SELECT of the images as rows, with the columns of the table, the rowid and the number of the row. */
export function buildPivotSql(table: ChangeableTable, images: Images, parameters: Parameters): string {
  // Each group has one value for each column, so max() returns it as it is.
  const cell = (name: string): string =>
    `max(CASE "column" WHEN ${quoteText(name)} THEN value END) AS ${quoteIdentifier(name)}`;
  const cells = [ROWID_CELL, ...table.columns.map(({ name }) => name)].map(cell);
  return `SELECT row AS "${ROW_NUMBER}", ${cells.join(", ")} FROM ${IMAGE_TABLE} WHERE ${selectsImages(images, parameters)} GROUP BY row`;
}

/** Lists the columns that a statement can set. */
function listStoredNames({ columns }: ChangeableTable): readonly string[] {
  return columns.filter(({ isGenerated }) => !isGenerated).map(({ name }) => name);
}

/** Builds the statement that gives existing rows all values of the images. */
export function buildRestoreSql(table: ChangeableTable, images: Images, parameters: Parameters): string {
  const names = listStoredNames(table).filter((name) => name !== table.rowidColumn);
  const sets = names.map((name) => `${quoteIdentifier(name)} = p.${quoteIdentifier(name)}`);
  const pivot = buildPivotSql(table, images, parameters);
  return `UPDATE OR ABORT ${table.from} SET ${sets.join(", ")} FROM (${pivot}) AS p WHERE ${quoteRowid(table)} = p."${ROWID_CELL}"`;
}

/** Builds the statement that inserts the rows of the images again, under the same rowids. */
export function buildReinsertSql(table: ChangeableTable, images: Images, parameters: Parameters): string {
  const names = listStoredNames(table).map(quoteIdentifier);
  const hasRowidColumn = table.rowidColumn !== undefined;
  const targets = hasRowidColumn ? names : [table.rowidName, ...names];
  const values = hasRowidColumn ? names : [`"${ROWID_CELL}"`, ...names];
  const pivot = buildPivotSql(table, images, parameters);
  return `INSERT OR ABORT INTO ${table.from} (${targets.join(", ")}) SELECT ${values.join(", ")} FROM (${pivot})`;
}
