// Opens the bindings that the policy declares. A binding that is missing or of another kind fails here, by name.
import type { Policy, SourceDeclaration } from "../policy/model.ts";
import { createD1Source } from "./d1.ts";
import { createSchema } from "./d1-schema.ts";
import { createKvSource } from "./kv.ts";
import { governedLayers } from "./layers.ts";
import type { Source } from "./source.ts";

export interface SourceLimits {
  /** Steps that a query may take, by its plan's estimate. */
  readonly maxQuerySteps: number;
}

/** All sources in declared order. Throws `TypeError` naming the setting, what it got and what it takes. */
export function openSources(
  policy: Policy,
  bindings: object,
  limits: SourceLimits,
  log: (message: string) => void,
): readonly Source[] {
  return policy.sources.map((declaration): Source => {
    const binding: unknown = Reflect.get(bindings, declaration.binding);
    const datasets = policy.datasets.filter((dataset) => dataset.source === declaration.name);
    if (declaration.kind === "d1") {
      if (!isD1(binding)) throw wrongBinding(declaration, "a D1 database", binding);
      const tables = datasets.filter((dataset) => dataset.kind === "table");
      const schema = createSchema(declaration, tables, binding, log);
      const layers = governedLayers({ schema, allowsRecursion: declaration.recursion, maxSteps: limits.maxQuerySteps });
      return createD1Source(declaration, tables, binding, schema, layers);
    }
    if (!isKv(binding)) throw wrongBinding(declaration, "a KV namespace", binding);
    const documents = datasets.find((dataset) => dataset.kind === "documents");
    if (documents === undefined) throw new TypeError(`sources.${declaration.name} has no document dataset`);
    return createKvSource(declaration, documents, binding);
  });
}

function wrongBinding(declaration: SourceDeclaration, wanted: string, got: unknown): TypeError {
  const found = got === undefined ? "there is no such binding" : "it is something else";
  return new TypeError(
    `sources.${declaration.name}.binding: ${declaration.binding} should be ${wanted}, but ${found}. Declare it in the wrangler configuration.`,
  );
}

function isD1(binding: unknown): binding is D1Database {
  return typeof binding === "object" && binding !== null && "prepare" in binding && "batch" in binding;
}

function isKv(binding: unknown): binding is KVNamespace {
  return typeof binding === "object" && binding !== null && "getWithMetadata" in binding;
}
