// Recognizes a source whose local database holds nothing, and says how to load it: the state was reset, or a load did not end.
import type { SourceDeclaration } from "../../src/policy/model.ts";
import { hasTables } from "../../src/tables/schema-check.ts";
import { readLoadRecord } from "../introspection/load-record.ts";
import { listSources } from "../introspection/files.ts";
import { root } from "../project/tools.ts";

/** Says how to load the empty local database of a source; undefined if it has tables. */
export async function describeEmptyDatabase(
  database: D1Database,
  { name, binding }: Pick<SourceDeclaration, "name" | "binding">,
): Promise<string | undefined> {
  if (await hasTables(database)) return undefined;
  const record = await readLoadRecord(database);
  if (record?.isComplete === false)
    return `The load of ${record.path} into ${binding} did not end, start it again: npm run introspect -- ${record.path} --as ${binding}`;
  return listSources(root).includes(name)
    ? `${binding} is empty, load its file again: npm run introspect -- <file> --as ${binding}`
    : `${binding} is empty, load its tables: npx wrangler d1 execute ${binding} --local --file <file.sql>`;
}
