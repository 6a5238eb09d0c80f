// Opens the bindings that the policy declares. A binding that is missing or of another kind fails here, by name.
import type { Policy, SourceDeclaration, TableDataset } from "../policy/model.ts";
import { expressionsOf } from "../policy/conditions.ts";
import { tokenColumnsOf } from "../policy/tokens.ts";
import { createD1Source } from "./d1.ts";
import { createSchemaKeeper } from "./d1-schema.ts";
import { createKvDocuments } from "./kv-documents.ts";
import { createKvSource } from "./kv.ts";
import { governedLayers } from "./layers.ts";
import type { Source } from "./source.ts";
import type { OnRefusal } from "../sql/defence.ts";
import { createEnginePool } from "../sql/engine/pool.ts";
import type { EnginePool } from "../sql/engine/pool.ts";
import { createDocumentIndex } from "../storage/documents.ts";
import { createSweeps, forgetOtherSources } from "../storage/sweeps.ts";
import { sweep } from "./sweep.ts";
import type { SweepParts } from "./sweep.ts";
import type { TableTokens } from "./tables.ts";
import { createTokenStore } from "./tokens.ts";
import type { TokenKey } from "./tokens.ts";

export interface SourceOptions {
  /** Steps that a query may take, by its plan's estimate. */
  readonly maxQuerySteps: number;
  /** Null when there is none; needed when a rule has a token mask. */
  readonly tokenKey: TokenKey | null;
  /** Gets what the operator has to mend. */
  readonly log: (message: string, error?: unknown) => void;
  /** Gives each source, by name, what its refusals by a defence are reported to. */
  readonly defenceLog?: (source: string) => OnRefusal;
  /** The memory that its engines share with those of other parts of the isolate. */
  readonly engines?: EnginePool;
  /** Goes on with work after the answer has left. */
  readonly background: (work: Promise<unknown>) => void;
  readonly index: IndexOptions;
}

/** Where the words of documents are kept, and how they are kept up to date. */
export interface IndexOptions extends Pick<SweepParts, "now" | "sweepDocuments" | "indexSeconds"> {
  readonly database: D1Database;
}

/** All sources in declared order. Throws `TypeError` naming the setting, what it got and what it takes. */
export function openSources(
  policy: Policy,
  bindings: object,
  { maxQuerySteps, tokenKey, log, defenceLog, engines = createEnginePool(), background, index }: SourceOptions,
): readonly Source[] {
  return policy.sources.map((declaration): Source => {
    const binding: unknown = Reflect.get(bindings, declaration.binding);
    const datasets = policy.datasets.filter((dataset) => dataset.source === declaration.name);
    if (declaration.kind === "d1") {
      if (!isD1(binding)) throw wrongBinding(declaration, "a D1 database", binding);
      const tables = datasets.filter((dataset) => dataset.kind === "table");
      const tokens = openTokens(policy, declaration, binding, tokenKey);
      const needs = {
        tokenColumns: tokens?.columns ?? [],
        expressions: expressionsOf(policy, declaration.name),
        rowRestricted: rowRestrictedTables(policy, tables),
      };
      const schemas = createSchemaKeeper(declaration, tables, binding, log, needs, engines);
      const layers = governedLayers({
        allowsRecursion: declaration.recursion,
        maxSteps: maxQuerySteps,
        onRefusal: defenceLog?.(declaration.name),
      });
      return createD1Source(declaration, tables, binding, schemas, layers, tokens);
    }
    if (!isKv(binding)) throw wrongBinding(declaration, "a KV namespace", binding);
    const documents = datasets.find((dataset) => dataset.kind === "documents");
    if (documents === undefined) throw new TypeError(`sources.${declaration.name} has no document dataset`);
    return createKvSource(declaration, documents, { ...sweepParts(declaration, binding, index), background, log });
  });
}

function rowRestrictedTables({ rules }: Policy, tables: readonly TableDataset[]): readonly string[] {
  return tables
    .filter(({ id }) => rules.some((rule) => rule.dataset === id && rule.rows !== null))
    .map(({ table }) => table);
}

function sweepParts({ name }: SourceDeclaration, namespace: KVNamespace, index: IndexOptions): SweepParts {
  const { database } = index;
  const parts = { index: createDocumentIndex(database, name), sweeps: createSweeps(database, name) };
  return { ...index, ...parts, documents: createKvDocuments(name, namespace) };
}

/** One run of the sweep over each document source, and nothing left of sources that the policy does not have any more. */
export async function keepDocuments(policy: Policy, bindings: object, index: IndexOptions): Promise<void> {
  const documents = policy.sources.filter(({ kind }) => kind === "kv");
  await forgetOtherSources(
    index.database,
    documents.map(({ name }) => name),
  );
  for (const declaration of documents) {
    const binding: unknown = Reflect.get(bindings, declaration.binding);
    if (!isKv(binding)) throw wrongBinding(declaration, "a KV namespace", binding);
    await sweep(sweepParts(declaration, binding, index));
  }
}

/** Tokens that one run of the upkeep makes in a source at most. */
const TOKENS_PER_RUN = 50_000;

/** Makes the tokens that are missing, ahead of the queries that need them, and removes those of earlier keys. */
export async function keepTokens(policy: Policy, bindings: object, tokenKey: TokenKey | null): Promise<void> {
  for (const declaration of policy.sources) {
    const binding: unknown = Reflect.get(bindings, declaration.binding);
    const tokens = isD1(binding) ? openTokens(policy, declaration, binding, tokenKey) : null;
    if (tokens === null) continue;
    await tokens.store.removeStale();
    await tokens.store.fill(tokens.columns, TOKENS_PER_RUN);
  }
}

/** Throws `TypeError` when there are token masks and no key. */
function openTokens(
  policy: Policy,
  { name }: SourceDeclaration,
  database: D1Database,
  tokenKey: TokenKey | null,
): TableTokens | null {
  const columns = tokenColumnsOf(policy, name);
  if (columns.length === 0) return null;
  if (tokenKey === null)
    throw new TypeError(
      "GATEHOUSE_TOKEN_KEY is not set, but the policy has token masks. It takes a secret of at least 32 random characters: `npx wrangler secret put GATEHOUSE_TOKEN_KEY`.",
    );
  return { store: createTokenStore(database, tokenKey), columns };
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
