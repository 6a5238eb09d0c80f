// Routes of the fake of Cloudflare's API: the requests that wrangler and `npm run deploy` send. It refuses every other request.
import type { SQLInputValue } from "node:sqlite";
import { tokenize } from "../../../../src/sql/lexer.ts";
import { ACCOUNT, Refusal } from "./account.ts";
import type { Account, Database, Metadata } from "./account.ts";

interface ApiRequest {
  readonly method: string;
  /** The path below the account, such as `/d1/database`. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: Buffer;
  readonly contentType: string;
}

type Answer = (account: Account, parts: readonly string[], request: ApiRequest) => unknown;

/** Maps a method and path to a handler; `*` matches one path segment. */
const ROUTES: readonly (readonly [string, Answer])[] = [
  ["GET /workers/subdomain", ({ subdomain }) => subdomainOf(subdomain)],
  ["GET /d1/database", ({ databases }, _, { query }) => page(databases.map(shownDatabase), query)],
  ["POST /d1/database", (account, _, { body }) => shownDatabase(account.makeDatabase(textOf(jsonOf(body)["name"])))],
  ["GET /d1/database/*", (account, [id = ""]) => shownDatabase(account.databaseOf(id))],
  ["POST /d1/database/*/query", (account, [id = ""], { body }) => runQuery(account.databaseOf(id), jsonOf(body))],
  [
    "GET /d1/database/*/time_travel/bookmark",
    (account, [id = ""]) => ({ bookmark: bookmarkOf(account.databaseOf(id)) }),
  ],
  ["GET /storage/kv/namespaces", ({ namespaces }, _, { query }) => page(namespaces, query)],
  ["POST /storage/kv/namespaces", (account, _, { body }) => account.makeNamespace(textOf(jsonOf(body)["title"]))],
  ["GET /storage/kv/namespaces/*", (account, [id]) => namespaceOf(account, id)],
  ["GET /storage/kv/namespaces/*/keys", (account, [id]) => namespaceOf(account, id).keys.map((name) => ({ name }))],
  ["GET /workers/services/*", (account, [name = ""]) => shownService(account, name)],
  [
    "PUT /workers/scripts/*",
    async (account, [name = ""], request) => shownUpload(account.putWorker(name, await metadataOf(request)).id),
  ],
  [
    "POST /workers/scripts/*/versions",
    async (account, [name = ""], request) => shownVersion(account.postVersion(name, await metadataOf(request)).id),
  ],
  [
    "GET /workers/scripts/*/versions/*",
    (account, [name = "", id]) => account.workerOf(name).versions.find((version) => version.id === id),
  ],
  ["GET /workers/scripts/*/deployments", (account, [name = ""]) => shownDeployments(account, name)],
  [
    "POST /workers/scripts/*/deployments",
    (account, [name = ""], { body }) => addDeployment(account, name, jsonOf(body)),
  ],
  ["GET /workers/scripts/*/settings", (account, [name = ""]) => shownSettings(account, name)],
  ["GET /workers/scripts/*/secrets", (account, [name = ""]) => secretNames(account, name)],
  [
    "GET /workers/scripts/*/script-settings",
    (account, [name = ""]) => ({ observability: account.workerOf(name).observability ?? null }),
  ],
  [
    "PATCH /workers/scripts/*/script-settings",
    (account, [name = ""], { body }) => setObservability(account, name, jsonOf(body)),
  ],
  [
    "GET /workers/scripts/*/schedules",
    (account, [name = ""]) => ({ schedules: account.workerOf(name).crons.map((cron) => ({ cron })) }),
  ],
  ["PUT /workers/scripts/*/schedules", (account, [name = ""], { body }) => setCrons(account, name, body)],
  ["GET /workers/scripts/*/subdomain", (account, [name = ""]) => shownSubdomain(account, name)],
  ["POST /workers/scripts/*/subdomain", (account, [name = ""], { body }) => setSubdomain(account, name, jsonOf(body))],
  ["GET /workers/workers/*", (account, [name = ""]) => ({ name, subdomain: shownSubdomain(account, name) })],
  [
    "GET /workers/domains",
    ({ domains }, _, { query }) =>
      domains.filter(
        ({ service, hostname }) =>
          [service, null].includes(query.get("service")) && [hostname, null].includes(query.get("hostname")),
      ),
  ],
  ["POST /workers/scripts/*/domains/changeset", () => ({ added: [], removed: [], updated: [], conflicting: [] })],
  [
    "PUT /workers/scripts/*/domains/records",
    (account, [name = ""], { body }) => setDomains(account, name, jsonOf(body)),
  ],
];

/** Answers a request below the account with its result. Throws `Refusal`. */
export async function answerOf(account: Account, request: ApiRequest): Promise<unknown> {
  const requestLine = `${request.method} ${request.path}`;
  for (const [pattern, answer] of ROUTES) {
    const match = new RegExp(`^${pattern.replaceAll("*", "([^/]+)")}$`).exec(requestLine);
    if (match !== null) return answer(account, match.slice(1).map(decodeURIComponent), request);
  }
  throw new Refusal(404, 7000, `No route for that URI: ${requestLine}`);
}

function subdomainOf(subdomain: string | undefined): unknown {
  if (subdomain === undefined) throw new Refusal(404, 10007, "There is no workers.dev subdomain.");
  return { subdomain };
}

function shownDatabase({ uuid, name }: Database): { readonly uuid: string; readonly name: string } {
  return { uuid, name };
}

function page<T>(all: readonly T[], query: URLSearchParams): readonly T[] {
  const size = Number(query.get("per_page") ?? 10);
  const first = (Number(query.get("page") ?? 1) - 1) * size;
  return all.slice(first, first + size);
}

/** Runs all statements of a request in one transaction, as D1 does. A request has one statement, or a batch. */
function runQuery({ content }: Database, request: Readonly<Record<string, unknown>>): unknown {
  const { batch } = request;
  const queries: readonly unknown[] = Array.isArray(batch) ? batch : [request];
  content.exec("BEGIN");
  try {
    const answers = queries.map((query) => runSql(content, Object(query)));
    content.exec("COMMIT");
    return answers;
  } catch (error) {
    content.exec("ROLLBACK");
    if (error instanceof Refusal) throw error;
    throw new Refusal(400, 7500, error instanceof Error ? error.message : "no reason");
  }
}

/** D1's limits. */
const MAX_SQL_BYTES = 100_000;
const MAX_PARAMETERS = 100;
const MAX_VALUE_BYTES = 2_000_000;
const MAX_DURATION_MS = 30_000;

/** Refuses what D1 refuses. Bound values are texts in the API's own description; it takes numbers and null too. */
function requireWithinLimits(sql: string, params: unknown): readonly SQLInputValue[] {
  if (Buffer.byteLength(sql) > MAX_SQL_BYTES) throw new Refusal(400, 7500, "statement too long: SQLITE_TOOBIG");
  if (!Array.isArray(params)) throw new Refusal(400, 7400, "params must be an array");
  if (params.length > MAX_PARAMETERS) throw new Refusal(400, 7500, "too many SQL variables: SQLITE_ERROR");
  for (const value of params as readonly unknown[]) {
    if (value !== null && typeof value !== "string" && typeof value !== "number")
      throw new Refusal(400, 7400, `a parameter is ${typeof value}`);
    if (typeof value === "string" && Buffer.byteLength(value) > MAX_VALUE_BYTES)
      throw new Refusal(400, 7500, "string or blob too big: SQLITE_TOOBIG");
  }
  return params as readonly SQLInputValue[];
}

/** Differs after each change. */
function bookmarkOf({ uuid, content }: Database): string {
  return `${String(countChanges(content)).padStart(8, "0")}-${uuid.slice(0, 8)}`;
}

function runSql(content: Database["content"], { sql, params = [] }: Readonly<Record<string, unknown>>): unknown {
  const text = textOf(sql);
  const tokens = tokenize(text).filter(({ kind }) => kind !== "space" && kind !== "comment");
  const isOne = !tokens.slice(0, -1).some(({ kind, value }) => kind === "operator" && value === ";");
  const values = requireWithinLimits(text, params);
  const changesBefore = countChanges(content);
  const startedMs = performance.now();
  const results = isOne ? content.prepare(text).all(...values) : (content.exec(text), []);
  if (performance.now() - startedMs > MAX_DURATION_MS)
    throw new Refusal(400, 7429, "query timed out: it took over 30 s");
  return {
    results,
    success: true,
    meta: { duration: 0, changes: countChanges(content) - changesBefore, last_row_id: 0 },
  };
}

function countChanges(content: Database["content"]): number {
  return Number(content.prepare("SELECT total_changes() AS changes").get()?.["changes"]);
}

function namespaceOf({ namespaces }: Account, id: string | undefined): Account["namespaces"][number] {
  const namespace = namespaces.find((candidate) => candidate.id === id);
  if (namespace === undefined) throw new Refusal(404, 10013, "namespace not found");
  return namespace;
}

function shownService(account: Account, name: string): unknown {
  const { tag, migrationTag } = account.workerOf(name);
  const script = { id: name, tag, tags: [], migration_tag: migrationTag, last_deployed_from: "wrangler" };
  return { id: name, default_environment: { environment: "production", script } };
}

function shownUpload(id: string): unknown {
  return {
    id: "x",
    etag: "x",
    pipeline_hash: null,
    mutable_pipeline_id: null,
    deployment_id: id.replaceAll("-", ""),
    startup_time_ms: 12,
  };
}

function shownVersion(id: string): unknown {
  return { id, startup_time_ms: 12, resources: { script: { etag: "x" } } };
}

function shownDeployments(account: Account, name: string): unknown {
  const { deployments } = account.workerOf(name);
  return {
    deployments: deployments.map(({ id, version }) => ({ id, versions: [{ version_id: version, percentage: 100 }] })),
  };
}

function addDeployment(account: Account, name: string, { versions }: Readonly<Record<string, unknown>>): unknown {
  const worker = account.workerOf(name);
  const [{ version_id: version }] = versions as [{ version_id: string }];
  if (!worker.versions.some(({ id }) => id === version)) throw new Refusal(400, 10146, "version not found");
  worker.deployments.unshift({ id: crypto.randomUUID(), version });
  return {};
}

function shownSettings(account: Account, name: string): unknown {
  const { bindings, secrets } = account.deployedVersion(name);
  return { bindings: [...bindings, ...[...secrets.keys()].map((secret) => ({ name: secret, type: "secret_text" }))] };
}

function secretNames(account: Account, name: string): unknown {
  return [...account.deployedVersion(name).secrets.keys()].map((secret) => ({ name: secret, type: "secret_text" }));
}

function setObservability(
  account: Account,
  name: string,
  { observability }: Readonly<Record<string, unknown>>,
): unknown {
  account.workerOf(name).observability = observability as { enabled: boolean };
  return {};
}

function setCrons(account: Account, name: string, body: Buffer): unknown {
  const crons: readonly { readonly cron: string }[] = JSON.parse(body.toString());
  account.workerOf(name).crons = crons.map(({ cron }) => cron);
  return { schedules: crons };
}

function shownSubdomain(account: Account, name: string): unknown {
  return { enabled: account.workerOf(name).isOnWorkersDev, previews_enabled: account.workerOf(name).isOnWorkersDev };
}

function setSubdomain(account: Account, name: string, { enabled }: Readonly<Record<string, unknown>>): unknown {
  account.workerOf(name).isOnWorkersDev = enabled === true;
  return shownSubdomain(account, name);
}

function setDomains(account: Account, name: string, { origins }: Readonly<Record<string, unknown>>): unknown {
  account.workerOf(name);
  account.setDomains(
    name,
    (origins as readonly { readonly hostname: string }[]).map(({ hostname }) => hostname),
  );
  return [];
}

/** Reads the metadata of an upload. Throws `Refusal` when the upload lacks its main module. */
async function metadataOf({ body, contentType }: ApiRequest): Promise<Metadata> {
  const form = await new Response(new Uint8Array(body), { headers: { "Content-Type": contentType } }).formData();
  const metadata: Metadata = JSON.parse(textOf(form.get("metadata")));
  if (!form.has(metadata.main_module)) throw new Refusal(400, 10021, `no such module: ${metadata.main_module}`);
  return metadata;
}

function jsonOf(body: Buffer): Readonly<Record<string, unknown>> {
  return JSON.parse(body.toString());
}

function textOf(value: unknown): string {
  if (typeof value !== "string") throw new Refusal(400, 10001, "a string is missing");
  return value;
}

/** The path below the account; undefined for any other path. */
export function accountPath(pathname: string): string | undefined {
  const prefix = `/accounts/${ACCOUNT}`;
  return pathname.startsWith(`${prefix}/`) ? pathname.slice(prefix.length) : undefined;
}
