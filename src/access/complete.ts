// The complete operation: names that begin as somebody has begun to write them, of what this person may see.
import { foldName } from "../sql/identifier.ts";
import type { Catalogue } from "./catalogue.ts";
import type { Answered } from "./recorded.ts";
import type { WorkspaceAccess } from "./workspace.ts";

/** What kind of name is wanted. `source` narrows tables and documents to one source. */
export interface Wanted {
  readonly kind: "source" | "dataset" | "table" | "document" | "result";
  readonly source: string | undefined;
  readonly prefix: string;
}

export interface Completions {
  /** In declared order, at most 100. */
  readonly values: readonly string[];
  readonly total: number;
}

/** MCP, completion/complete: at most 100 values. */
const MAX_VALUES = 100;
/** Documents of a source that are looked at. */
const MAX_DOCUMENTS = 1000;

export async function complete(
  { open: sources }: Catalogue,
  workspace: WorkspaceAccess,
  { kind, source, prefix }: Wanted,
): Promise<Answered<Completions>> {
  const names = async (): Promise<readonly string[]> => {
    switch (kind) {
      case "source":
        return sources.map((open) => open.source.declaration.name);
      case "dataset":
        return sources.flatMap((open) =>
          open.kind === "kv" ? [open.dataset.id] : open.tables.map((one) => one.dataset.id),
        );
      case "table":
        return sources.flatMap((open) =>
          open.kind === "d1" && open.source.declaration.name === source
            ? open.tables.map((one) => one.dataset.table)
            : [],
        );
      case "document":
        return keysOf();
      case "result":
        return (await workspace.open()).results.map(({ id }) => id);
    }
  };
  const keysOf = async (): Promise<readonly string[]> => {
    const open = sources.find((one) => one.kind === "kv" && one.source.declaration.name === source);
    if (open?.kind !== "kv") return [];
    // As it is written, among all of them; in another case, among the first.
    const { keys } = await open.source.keys(open.decision, MAX_DOCUMENTS, prefix);
    return keys.length > 0 ? keys : (await open.source.keys(open.decision, MAX_DOCUMENTS)).keys;
  };
  const found = (await names()).filter((name) => foldName(name).startsWith(foldName(prefix)));
  return { answer: { values: found.slice(0, MAX_VALUES), total: found.length }, datasets: [], rules: [] };
}
