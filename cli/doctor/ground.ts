// Finds the tables that the attacks are tried on: one per source, with a column, that the access token's owner may read.
import { isObject, texts } from "./http.ts";
import { callTool, resultOf } from "./session.ts";
import type { Post } from "./session.ts";

/** A table to try attacks on. */
export interface Ground {
  readonly source: string;
  readonly table: string;
  readonly column: string;
  /** Every table of the source that the user may read. */
  readonly tables: readonly string[];
}

/** Names that need no quoting, so that they can replace the corpus's names anywhere. */
const PLAIN = /^[a-z_][a-z0-9_]*$/i;

/** Finds a table in each database that the user sees; a database without a suitable one is left out. */
export async function findGrounds(post: Post): Promise<readonly Ground[]> {
  const overview = structured(resultOf(await callTool(post, "describe", {})));
  const sources = Array.isArray(overview["sources"]) ? overview["sources"].filter(isObject) : [];
  const grounds: Ground[] = [];
  for (const { source, kind, datasets } of sources) {
    if (typeof source !== "string" || kind !== "d1") continue;
    const tables = texts(datasets).map((name) => name.slice(source.length + 1));
    const ground = await findGround(post, source, tables);
    if (ground !== undefined) grounds.push(ground);
  }
  return grounds;
}

async function findGround(post: Post, source: string, tables: readonly string[]): Promise<Ground | undefined> {
  for (const table of tables.filter((name) => PLAIN.test(name))) {
    const { columns } = structured(resultOf(await callTool(post, "describe", { dataset: `${source}.${table}` })));
    const names = Array.isArray(columns) ? columns.filter(isObject).map(({ name }) => String(name)) : [];
    const column = names.find((name) => PLAIN.test(name));
    if (column !== undefined) return { source, table, column, tables };
  }
  return undefined;
}

/** The structured content of a tool's result; empty when it has none. */
export function structured(result: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { structuredContent } = result;
  return isObject(structuredContent) ? structuredContent : {};
}
