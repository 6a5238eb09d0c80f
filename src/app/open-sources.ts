// Opens the sources that the policy declares, and runs their upkeep: document index and masking tokens. A binding that is missing or has
// the wrong kind fails here with its name.
import { NO_SPANS } from "../lib/spans.ts";
import type { WithSpan } from "../lib/spans.ts";
import type { Policy, SourceDeclaration, TableDataset } from "../policy/model.ts";
import { listConditionColumns, listRowExpressions } from "../policy/conditions.ts";
import { listMaskingTokenColumns } from "../masking-tokens/masking-token-columns.ts";
import { createD1Explain, createD1Source } from "../tables/d1-source.ts";
import type { ChangeTarget } from "../read/change-target.ts";
import type { ShowDependencies } from "../tables/change-show.ts";
import { createD1Changes } from "../tables/d1-changes.ts";
import type { RowRestrictedTable } from "../tables/rule-column-values.ts";
import { createSchemaCache } from "../tables/schema-cache.ts";
import { createKvDocuments } from "../documents/kv-documents.ts";
import { createKvSource } from "../documents/kv-source.ts";
import { createGovernedMiddleware } from "../read/governed-middleware.ts";
import type { ReadTrace } from "../read/read-trace.ts";
import type { Source } from "../read/source.ts";
import type { OnRefusal } from "../sql/defence-refusal.ts";
import { createEnginePool } from "../sql/engine/pool.ts";
import type { EnginePool } from "../sql/engine/pool.ts";
import { createDocumentIndex } from "../documents/document-index-store.ts";
import { createReindexStore, deleteOtherSources } from "../documents/reindex-store.ts";
import { reindex } from "../documents/reindex.ts";
import type { ReindexParts } from "../documents/reindex.ts";
import type { MaskingTokens } from "../tables/table-source.ts";
import { createMaskingTokenStore, findMaskingTokenFault } from "../masking-tokens/masking-token-store.ts";
import type { MaskingTokenKey } from "../masking-tokens/masking-token-store.ts";

/** What all sources of an environment share. */
interface SourceOptions {
  /** How many steps a query may take, as estimated from its plan. */
  readonly maxQuerySteps: number;
  /** Null when GATEHOUSE_TOKEN_KEY is not set; required when a rule has a token mask. */
  readonly maskingTokenKey: MaskingTokenKey | null;
  /** Logs problems that the operator has to fix. */
  readonly log: (message: string, error?: unknown) => void;
  /** Returns the callback that reports the refusals by a defence of the named source. */
  readonly defenceLog?: (source: string) => OnRefusal;
  /** The pool of SQL engines that the whole isolate shares. */
  readonly engines?: EnginePool;
  /** Continues work after the response was sent. */
  readonly waitUntil: (work: Promise<unknown>) => void;
  readonly index: IndexOptions;
  /** Records reads of D1 sources, and has the database explain their statements in place of running them. */
  readonly trace?: ReadTrace | undefined;
  /** Records reads of D1 sources in the platform's trace. */
  readonly withSpan?: WithSpan;
}

/** Where the document index is stored, and how often it is updated. */
export interface IndexOptions extends Pick<ReindexParts, "now" | "reindexDocuments" | "indexSeconds"> {
  readonly database: D1Database;
}

/** Opens all sources in declared order. Throws a `TypeError` that names the binding, what it is and what it should be. */
export function openSources(
  policy: Policy,
  bindings: object,
  {
    maxQuerySteps,
    maskingTokenKey,
    log,
    defenceLog,
    engines = createEnginePool(),
    waitUntil,
    index,
    trace,
    withSpan = NO_SPANS.withSpan,
  }: SourceOptions,
): readonly Source[] {
  return policy.sources.map((declaration): Source => {
    const binding: unknown = Reflect.get(bindings, declaration.binding);
    const datasets = policy.datasets.filter((dataset) => dataset.source === declaration.name);
    if (declaration.kind === "d1") {
      const database = requireD1(declaration, bindings);
      const tables = datasets.filter((dataset) => dataset.kind === "table");
      const maskingTokens = openMaskingTokens(policy, declaration, database, maskingTokenKey);
      const requirements = {
        maskingTokenColumns: maskingTokens?.columns ?? [],
        expressions: listRowExpressions(policy, declaration.name),
        rowRestrictedTables: listRowRestrictedTables(policy, tables),
      };
      const refresh = { now: index.now, waitUntil };
      const schemaCache = createSchemaCache(declaration, tables, database, log, requirements, engines, refresh);
      const middleware = createGovernedMiddleware({
        allowsRecursion: declaration.recursion,
        maxSteps: maxQuerySteps,
        onRefusal: defenceLog?.(declaration.name),
        trace,
        spans: { source: declaration.name, withSpan },
      });
      // Also without rules: changes that were proposed before end, and applied ones are shown.
      const createChanges = (dependencies: ShowDependencies): ChangeTarget =>
        createD1Changes({ ...dependencies, sourceName: declaration.name, database, now: index.now });
      if (trace === undefined)
        return createD1Source(
          declaration,
          tables,
          database,
          schemaCache,
          middleware,
          maskingTokens,
          undefined,
          createChanges,
        );
      const tracedCache = trace.traceSchema(schemaCache);
      const explain = createD1Explain(database, trace);
      return createD1Source(declaration, tables, database, tracedCache, middleware, maskingTokens, explain);
    }
    if (!isKv(binding)) throw createBindingError(declaration, "a KV namespace", binding);
    const documentDataset = datasets.find((dataset) => dataset.kind === "documents");
    if (documentDataset === undefined) throw new TypeError(`sources.${declaration.name} has no document dataset`);
    return createKvSource(declaration, documentDataset, {
      ...buildReindexParts(declaration, binding, index),
      waitUntil,
      log,
    });
  });
}

function listRowRestrictedTables({ rules }: Policy, tables: readonly TableDataset[]): readonly RowRestrictedTable[] {
  return tables.flatMap(({ id, table }) => {
    const rowRules = rules.flatMap(({ dataset, rows }) => (dataset === id && rows !== null ? [rows] : []));
    return rowRules.length === 0 ? [] : [{ table, columns: rowRules.flatMap(listConditionColumns) }];
  });
}

function buildReindexParts({ name }: SourceDeclaration, namespace: KVNamespace, index: IndexOptions): ReindexParts {
  const { database } = index;
  const stores = { index: createDocumentIndex(database, name), reindexStore: createReindexStore(database, name) };
  return { ...index, ...stores, documents: createKvDocuments(name, namespace) };
}

/** Updates the index of each document source once, and deletes what is stored for sources that the policy no longer declares. */
export async function reindexSources(policy: Policy, bindings: object, index: IndexOptions): Promise<void> {
  const kvDeclarations = policy.sources.filter(({ kind }) => kind === "kv");
  await deleteOtherSources(
    index.database,
    kvDeclarations.map(({ name }) => name),
  );
  for (const declaration of kvDeclarations) {
    const binding: unknown = Reflect.get(bindings, declaration.binding);
    if (!isKv(binding)) throw createBindingError(declaration, "a KV namespace", binding);
    await reindex(buildReindexParts(declaration, binding, index));
  }
}

/** One run of the upkeep creates at most this number of masking tokens per source. */
const MASKING_TOKENS_PER_RUN = 50_000;

/** Creates missing masking tokens before queries need them, and removes those of earlier keys. */
export async function maintainMaskingTokens(
  policy: Policy,
  bindings: object,
  maskingTokenKey: MaskingTokenKey | null,
): Promise<void> {
  const faults: string[] = [];
  for (const declaration of policy.sources) {
    const binding: unknown = Reflect.get(bindings, declaration.binding);
    const maskingTokens = isD1(binding) ? openMaskingTokens(policy, declaration, binding, maskingTokenKey) : null;
    if (maskingTokens === null || !isD1(binding)) continue;
    const fault = await findMaskingTokenFault(binding);
    if (fault !== undefined) {
      faults.push(`sources.${declaration.name}: ${fault}`);
      continue;
    }
    await maskingTokens.store.removeStale();
    const { filled } = await maskingTokens.store.fillMissing(maskingTokens.columns, MASKING_TOKENS_PER_RUN);
    if (filled > 0) await maskingTokens.store.updateStatistics();
  }
  if (faults.length > 0) throw new Error(faults.join(" "));
}

/** Opens the masking tokens of a source; null when no rule masks with them. Throws `TypeError` when a rule does and there is no key. */
function openMaskingTokens(
  policy: Policy,
  { name }: SourceDeclaration,
  database: D1Database,
  maskingTokenKey: MaskingTokenKey | null,
): MaskingTokens | null {
  const columns = listMaskingTokenColumns(policy, name);
  if (columns.length === 0) return null;
  if (maskingTokenKey === null)
    throw new TypeError(
      [
        "GATEHOUSE_TOKEN_KEY is not set, but the policy has token masks.",
        "It takes a secret of at least 32 random characters: `npx wrangler secret put GATEHOUSE_TOKEN_KEY`.",
      ].join(" "),
    );
  return { store: createMaskingTokenStore(database, maskingTokenKey), columns };
}

/** Returns the database of a D1 source. Throws a `TypeError` that names the binding when it is missing or has another type. */
export function requireD1(declaration: SourceDeclaration, bindings: object): D1Database {
  const binding: unknown = Reflect.get(bindings, declaration.binding);
  if (!isD1(binding)) throw createBindingError(declaration, "a D1 database", binding);
  return binding;
}

function createBindingError(declaration: SourceDeclaration, expected: string, binding: unknown): TypeError {
  const actual = binding === undefined ? "there is no such binding" : "it has another type";
  return new TypeError(
    [
      `sources.${declaration.name}.binding: ${declaration.binding} should be ${expected}, but ${actual}.`,
      "Declare it in the wrangler configuration.",
    ].join(" "),
  );
}

function isD1(binding: unknown): binding is D1Database {
  return typeof binding === "object" && binding !== null && "prepare" in binding && "batch" in binding;
}

function isKv(binding: unknown): binding is KVNamespace {
  return typeof binding === "object" && binding !== null && "getWithMetadata" in binding;
}
