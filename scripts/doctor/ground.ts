// Where the attacks are tried: a table that the token's owner may read, with columns of it.
import { isObject, texts } from "./http.ts";
import { callTool, resultOf } from "./session.ts";
import type { Post } from "./session.ts";

export interface Ground {
  readonly source: string;
  readonly table: string;
  readonly column: string;
  /** Every table of the source that the person may read. */
  readonly tables: readonly string[];
}

/** Names that need no quotes, so that they can stand wherever the corpus has its own. */
const PLAIN = /^[a-z_][a-z0-9_]*$/i;

/** One ground for each database that the person sees. */
export async function findGrounds(post: Post): Promise<readonly Ground[]> {
  const overview = structured(resultOf(await callTool(post, "describe", {})));
  const sources = Array.isArray(overview["sources"]) ? overview["sources"].filter(isObject) : [];
  const grounds: Ground[] = [];
  for (const { source, kind, datasets } of sources) {
    if (typeof source !== "string" || kind !== "d1") continue;
    const tables = texts(datasets).map((name) => name.slice(source.length + 1));
    const ground = await groundOf(post, source, tables);
    if (ground !== undefined) grounds.push(ground);
  }
  return grounds;
}

async function groundOf(post: Post, source: string, tables: readonly string[]): Promise<Ground | undefined> {
  for (const table of tables.filter((name) => PLAIN.test(name))) {
    const { columns } = structured(resultOf(await callTool(post, "describe", { dataset: `${source}.${table}` })));
    const names = Array.isArray(columns) ? columns.filter(isObject).map(({ name }) => String(name)) : [];
    const column = names.find((name) => PLAIN.test(name));
    if (column !== undefined) return { source, table, column, tables };
  }
  return undefined;
}

export function structured(result: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { structuredContent } = result;
  return isObject(structuredContent) ? structuredContent : {};
}
