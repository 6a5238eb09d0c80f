// Reads and writes one environment of wrangler.jsonc for a deployment. It writes ids and the URL there because the organisation
// commits the file: they are not secret, and the next clone must find the same databases.
import { copyFileSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { experimental_patchConfig, experimental_readRawConfig, unstable_readConfig } from "wrangler";
import * as z from "zod";
import { root, runTool } from "../project/tools.ts";

export const configPath = path.join(root, "wrangler.jsonc");

/** A D1 database or KV namespace of the configuration. */
export interface Binding {
  /** Its index in the configuration's list. */
  readonly index: number;
  readonly kind: "d1" | "kv";
  readonly binding: string;
  /** The store's name in the account. */
  readonly name: string;
  /** Undefined until the store exists in an account. */
  readonly id: string | undefined;
  /** The id of the local copy on this machine. */
  readonly localId: string;
  readonly migrationsDir: string | undefined;
}

/** One environment of wrangler.jsonc. */
export interface DeploySettings {
  /** As in `--env staging`; undefined for the top level of the file. */
  readonly environment: string | undefined;
  readonly worker: string;
  readonly accountId: string | undefined;
  readonly bindings: readonly Binding[];
  readonly variables: Readonly<Record<string, string>>;
  readonly routes: readonly { readonly pattern: string; readonly isCustomDomain: boolean }[];
  readonly isOnWorkersDev: boolean;
  readonly crons: readonly string[];
  readonly migrationTags: readonly string[];
  readonly isObserved: boolean;
}

/** A placeholder id, which names only a local database until a deployment writes the real id. */
const PLACEHOLDER = /^local-/;

/** The keys of wrangler's configuration that an environment does not inherit from the top level. */
const NOT_INHERITED = [
  "vars",
  "secrets",
  "define",
  "durable_objects",
  "workflows",
  "kv_namespaces",
  "d1_databases",
  "send_email",
  "queues",
  "r2_buckets",
  "vectorize",
  "hyperdrive",
  "services",
  "analytics_engine_datasets",
  "mtls_certificates",
  "tail_consumers",
  "unsafe",
  "ai",
  "ratelimits",
  "secrets_store_secrets",
  "version_metadata",
] as const;

const idSchema = z.string().min(1).optional().catch(undefined);
const rawSchema = z.looseObject({
  vars: z.record(z.string(), z.unknown()).optional(),
  kv_namespaces: z.array(z.looseObject({ binding: z.string() })).default([]),
  d1_databases: z.array(z.looseObject({ binding: z.string(), database_name: z.string().optional() })).default([]),
  r2_buckets: z.array(z.looseObject({ binding: z.string() })).optional(),
  routes: z.unknown().optional(),
  route: z.unknown().optional(),
  workers_dev: z.boolean().optional(),
  env: z.record(z.string(), z.unknown()).default({}),
});
const routeSchema = z.union([
  z.string().transform((pattern) => ({ pattern, isCustomDomain: false })),
  z
    .object({ pattern: z.string(), custom_domain: z.boolean().optional() })
    .transform((route) => ({ pattern: route.pattern, isCustomDomain: route.custom_domain ?? false })),
]);
/** wrangler's normalised configuration, reduced to what a deployment reads. */
const configSchema = z.looseObject({
  name: z.string().default("gatehouse"),
  account_id: z.string().optional(),
  d1_databases: z.array(
    z.object({
      binding: z.string(),
      database_name: z.string().optional(),
      database_id: idSchema,
      preview_database_id: idSchema,
      migrations_dir: z.string().optional(),
    }),
  ),
  kv_namespaces: z.array(z.object({ binding: z.string(), id: idSchema, preview_id: idSchema })),
  vars: z.record(z.string(), z.unknown()),
  routes: z.array(routeSchema).optional(),
  route: routeSchema.optional(),
  workers_dev: z.boolean().optional(),
  triggers: z.object({ crons: z.array(z.string()).optional() }),
  migrations: z.array(z.object({ tag: z.string() })),
  observability: z.object({ enabled: z.boolean().optional() }).optional(),
});

/** Reads an environment with wrangler's own parser, and returns its whole normalised configuration. */
export function readConfiguration(environment: string | undefined): Readonly<Record<string, unknown>> {
  return unstable_readConfig({ config: configPath, ...(environment === undefined ? {} : { env: environment }) });
}

function readRaw(): z.output<typeof rawSchema> {
  return rawSchema.parse(experimental_readRawConfig({ config: configPath }).rawConfig);
}

/** Reads the settings of an environment that the file has. */
export function readSettings(environment: string | undefined): DeploySettings {
  const config = configSchema.parse(readConfiguration(environment));
  const routes = config.routes ?? (config.route === undefined ? [] : [config.route]);
  return {
    environment,
    worker: config.name,
    accountId: config.account_id,
    bindings: [...listDatabases(config), ...listNamespaces(config)],
    variables: Object.fromEntries(
      Object.entries(config.vars).flatMap(([name, value]) => (typeof value === "string" ? [[name, value]] : [])),
    ),
    routes,
    isOnWorkersDev: config.workers_dev ?? routes.length === 0,
    crons: config.triggers.crons ?? [],
    migrationTags: config.migrations.map(({ tag }) => tag),
    isObserved: config.observability?.enabled ?? false,
  };
}

function listDatabases({ name: worker, d1_databases: databases }: z.output<typeof configSchema>): readonly Binding[] {
  return databases.map(({ binding, database_name: name, database_id: id, ...rest }, index) => ({
    index,
    kind: "d1",
    binding,
    name: name ?? nameFor(worker, binding),
    id: realId(id),
    localId: rest.preview_database_id ?? id ?? binding,
    migrationsDir: rest.migrations_dir === undefined ? undefined : path.resolve(root, rest.migrations_dir),
  }));
}

function listNamespaces({
  name: worker,
  kv_namespaces: namespaces,
}: z.output<typeof configSchema>): readonly Binding[] {
  return namespaces.map(({ binding, id, preview_id: localId }, index) => ({
    index,
    kind: "kv",
    binding,
    name: nameFor(worker, binding),
    id: realId(id),
    localId: localId ?? id ?? binding,
    migrationsDir: undefined,
  }));
}

/** Whether the file has an environment of this name. */
export function hasEnvironment(environment: string): boolean {
  return Object.hasOwn(readRaw().env, environment);
}

/** Reads the settings of every other environment in the file, including the top level. */
export function environmentsBesides(environment: string | undefined): readonly DeploySettings[] {
  const named = Object.keys(readRaw().env);
  return [undefined, ...named].filter((candidate) => candidate !== environment).map(readSettings);
}

/** Adds an environment that copies the top level, but has its own databases, and no address and no archive of audit records yet. */
export async function addEnvironment(environment: string): Promise<void> {
  const rawConfig = readRaw();
  const copied = Object.fromEntries(
    NOT_INHERITED.flatMap((key) => (rawConfig[key] === undefined ? [] : [[key, rawConfig[key]]])),
  );
  const hasAddress = rawConfig.routes !== undefined || rawConfig.route !== undefined || rawConfig.workers_dev === false;
  const section = {
    ...(hasAddress ? { routes: [], workers_dev: true } : {}),
    ...copied,
    vars: { ...rawConfig.vars, GATEHOUSE_URL: "" },
    // Two deployments would mix their records in one archive.
    ...(rawConfig.r2_buckets === undefined
      ? {}
      : { r2_buckets: rawConfig.r2_buckets.filter(({ binding }) => binding !== "GATEHOUSE_ARCHIVE") }),
    kv_namespaces: rawConfig.kv_namespaces.map(({ binding }) => ({ binding })),
    d1_databases: rawConfig.d1_databases.map(
      ({ database_id: _id, preview_database_id: _local, database_name: name, ...rest }) => ({
        ...rest,
        database_name: `${name ?? rest.binding.toLowerCase().replaceAll("_", "-")}-${environment}`,
      }),
    ),
  };
  await patch({ env: { [environment]: section } });
}

/** Writes a binding's id. At the top level it also keeps the local id, so that this machine goes on with its own data. */
export async function writeId({ environment }: DeploySettings, store: Binding, id: string): Promise<void> {
  const local = environment === undefined ? store.localId : undefined;
  const keys =
    store.kind === "d1"
      ? { database_id: id, ...(local === undefined ? {} : { preview_database_id: local }) }
      : { id, ...(local === undefined ? {} : { preview_id: local }) };
  // The patch merges by position: empty objects leave the entries before it unchanged.
  const list = [...Array.from({ length: store.index }, () => ({})), keys];
  await patch(inEnvironment(environment, { [store.kind === "d1" ? "d1_databases" : "kv_namespaces"]: list }));
}

/** Writes variables of an environment, such as GATEHOUSE_URL; others stay as they are. */
export async function writeVariables(
  environment: string | undefined,
  variables: Readonly<Record<string, string>>,
): Promise<void> {
  await patch(inEnvironment(environment, { vars: variables }));
}

function inEnvironment(environment: string | undefined, part: object): object {
  return environment === undefined ? part : { env: { [environment]: part } };
}

/** Changes the file atomically and keeps its comments. */
async function patch(change: object): Promise<void> {
  const draft = path.join(root, ".wrangler.new.jsonc");
  try {
    copyFileSync(configPath, draft);
    experimental_patchConfig(draft, change, false);
    await runTool("prettier", ["--write", "--log-level", "warn", draft]);
    renameSync(draft, configPath);
  } finally {
    rmSync(draft, { force: true });
  }
}

/** The name that wrangler gives to a store that it creates itself. */
function nameFor(worker: string, binding: string): string {
  return `${worker}-${binding.toLowerCase().replaceAll("_", "-")}`;
}

function realId(id: string | undefined): string | undefined {
  return id === undefined || PLACEHOLDER.test(id) ? undefined : id;
}
