// A client for the part of Cloudflare's API that a deployment needs: what an account has, and creating databases and namespaces.
// It parses each response once. It does not upload the Worker; wrangler does.
import * as z from "zod";
import { CliError } from "../kit/cli-error.ts";

interface PlatformOptions {
  /** The API's base URL. wrangler reads the same variable, CLOUDFLARE_API_BASE_URL. */
  readonly baseUrl: string;
  readonly token: string;
}

/** An account, a database or a namespace. */
export interface Named {
  readonly id: string;
  readonly name: string;
}

/** A Worker as it is deployed now. */
export interface DeployedWorker {
  /** The tag of its newest Durable Object migration. */
  readonly migrationTag: string | undefined;
  readonly bindings: readonly { readonly name: string; readonly type: string; readonly id: string | undefined }[];
  readonly secrets: readonly string[];
  /** The tag of the version that serves all requests; undefined when traffic is split or the version has no tag. */
  readonly versionTag: string | undefined;
  readonly crons: readonly string[];
  readonly isOnWorkersDev: boolean;
  readonly domains: readonly string[];
  readonly isObserved: boolean;
}

export type Platform = ReturnType<typeof createPlatform>;

/** The API refused a request. Keeps the HTTP status and the API's error codes. */
export class PlatformError extends CliError {
  readonly codes: readonly number[];
  readonly status: number;
  /** The API's own words; empty when it gave no reason. */
  readonly reasons: string;
  /** How long to wait before asking again, if the API says so. */
  readonly retryAfterMs: number | undefined;

  constructor(
    request: string,
    status: number,
    errors: readonly { readonly code: number; readonly message: string }[],
    retryAfterMs?: number,
  ) {
    const reasons = errors.map(({ code, message }) => `${message} [${code}]`).join("; ");
    super(`Cloudflare's API refused ${request} (${status}): ${reasons === "" ? "it gave no reason" : reasons}`);
    this.status = status;
    this.codes = errors.map(({ code }) => code);
    this.reasons = reasons;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The API did not answer. A request that changes something may have been applied. */
export class PlatformUnreachable extends CliError {}

/** Error codes from the API's documentation and wrangler 4's source. */
const NOT_THERE = { worker: [10007, 10090], subdomain: [10007], database: [7404], namespace: [10013] };
const NAME_TAKEN = { database: [7502], namespace: [10014] };
const PAGE_SIZE = 100;
const TIMEOUT_MS = 30_000;
/** D1 works for up to 30 seconds on a query, and a batch has several. */
const QUERY_TIMEOUT_MS = 120_000;

const envelopeSchema = z.object({
  success: z.boolean(),
  errors: z.array(z.object({ code: z.number(), message: z.string() })).nullish(),
  result: z.unknown(),
});
const accountsSchema = z.array(z.object({ id: z.string(), name: z.string() }));
const databaseSchema = z
  .object({ uuid: z.string(), name: z.string() })
  .transform(({ uuid, name }) => ({ id: uuid, name }));
const namespaceSchema = z
  .object({ id: z.string(), title: z.string() })
  .transform(({ id, title }) => ({ id, name: title }));
const serviceSchema = z.object({
  default_environment: z.object({ script: z.object({ migration_tag: z.string().optional() }) }),
});
const bindingSchema = z
  .looseObject({ name: z.string(), type: z.string() })
  .transform(({ name, type, ...rest }) => ({ name, type, id: idOf(rest) }));
const settingsSchema = z.object({ bindings: z.array(bindingSchema) });
const deploymentsSchema = z.object({
  deployments: z.array(z.object({ versions: z.array(z.object({ version_id: z.string() })) })),
});
const versionSchema = z.object({ annotations: z.record(z.string(), z.unknown()).nullish() });
const schedulesSchema = z.object({ schedules: z.array(z.object({ cron: z.string() })) });
const scriptSettingsSchema = z.object({ observability: z.object({ enabled: z.boolean().nullish() }).nullish() });
const rowsSchema = z.array(z.object({ results: z.array(z.record(z.string(), z.unknown())) }));
const answersSchema = z.array(
  z.object({
    results: z.array(z.record(z.string(), z.unknown())),
    meta: z.looseObject({ changes: z.number().default(0), last_row_id: z.number().default(0) }),
  }),
);

/** A statement with the values to bind. */
export interface BoundStatement {
  readonly sql: string;
  readonly params: readonly unknown[];
}

/** The rows of a statement, and what it changed. */
export type StatementAnswer = z.output<typeof answersSchema>[number];

function idOf(binding: Readonly<Record<string, unknown>>): string | undefined {
  const id = binding["database_id"] ?? binding["namespace_id"] ?? binding["id"];
  return typeof id === "string" ? id : undefined;
}

/** Creates the API client. Its methods throw `PlatformError` when the API refuses and `CliError` when it cannot be reached. */
export function createPlatform({ baseUrl, token }: PlatformOptions) {
  const ask = async <S extends z.ZodType>(
    schema: S,
    method: string,
    path: string,
    body?: unknown,
  ): Promise<z.output<S>> => {
    const { status, text, retryAfterMs } = await send(`${baseUrl}${path}`, method, token, body);
    const request = `${method} ${path}`;
    const parsed = envelopeSchema.safeParse(parseJson(text));
    if (!parsed.success) throw new PlatformError(request, status, [], retryAfterMs);
    if (!parsed.data.success) throw new PlatformError(request, status, parsed.data.errors ?? [], retryAfterMs);
    const result = schema.safeParse(parsed.data.result);
    if (!result.success) throw new CliError(`Cloudflare's API answered ${request} in an unknown form.`);
    return result.data;
  };
  const listPages = async (
    path: string,
    schema: typeof databaseSchema | typeof namespaceSchema,
  ): Promise<readonly Named[]> => {
    const items: Named[] = [];
    for (let page = 1; ; page += 1) {
      const pageItems = await ask(z.array(schema), "GET", `${path}?per_page=${PAGE_SIZE}&page=${page}`);
      items.push(...pageItems);
      if (pageItems.length < PAGE_SIZE) return items;
    }
  };
  const accountPath = (account: string): string => `/accounts/${account}`;

  return {
    accounts: (): Promise<readonly Named[]> => ask(accountsSchema, "GET", `/accounts?per_page=${PAGE_SIZE}`),

    /** The account's `x` in `<worker>.x.workers.dev`; undefined until the account has chosen one. */
    subdomain: (account: string): Promise<string | undefined> =>
      orUndefined(NOT_THERE.subdomain, async () => {
        const schema = z.object({ subdomain: z.string() });
        return (await ask(schema, "GET", `${accountPath(account)}/workers/subdomain`)).subdomain;
      }),

    worker: (account: string, name: string): Promise<DeployedWorker | undefined> =>
      orUndefined(NOT_THERE.worker, () => readWorker(ask, accountPath(account), name)),

    /** The name of the Worker that a custom domain leads to now. */
    async domainOwner(account: string, hostname: string): Promise<string | undefined> {
      const schema = z.array(z.object({ hostname: z.string(), service: z.string() }));
      const domains = await ask(
        schema,
        "GET",
        `${accountPath(account)}/workers/domains?hostname=${encodeURIComponent(hostname)}`,
      );
      return domains.find((domain) => domain.hostname === hostname)?.service;
    },

    databases: (account: string) => listPages(`${accountPath(account)}/d1/database`, databaseSchema),
    database: (account: string, id: string): Promise<Named | undefined> =>
      orUndefined(NOT_THERE.database, () =>
        ask(databaseSchema, "GET", `${accountPath(account)}/d1/database/${encodeURIComponent(id)}`),
      ),
    /** Creates a database; undefined when the name is taken. */
    makeDatabase: (account: string, name: string): Promise<Named | undefined> =>
      orUndefined(NAME_TAKEN.database, () =>
        ask(databaseSchema, "POST", `${accountPath(account)}/d1/database`, { name }),
      ),
    /** Runs SQL without bound values and returns the rows of its last statement. */
    async query(account: string, id: string, sql: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
      const answers = await ask(rowsSchema, "POST", `${accountPath(account)}/d1/database/${id}/query`, { sql });
      return answers.at(-1)?.results ?? [];
    },

    /** The Time Travel bookmark of a database as it is now. */
    async bookmark(account: string, id: string): Promise<string> {
      const path = `${accountPath(account)}/d1/database/${encodeURIComponent(id)}/time_travel/bookmark`;
      return (await ask(z.object({ bookmark: z.string() }), "GET", path)).bookmark;
    },

    /** Runs statements with bound values in one transaction. Returns an answer for each. */
    async runBatch(account: string, id: string, batch: readonly BoundStatement[]): Promise<readonly StatementAnswer[]> {
      const path = `${accountPath(account)}/d1/database/${encodeURIComponent(id)}/query`;
      return ask(answersSchema, "POST", path, batch.length === 1 ? batch[0] : { batch });
    },

    namespaces: (account: string) => listPages(`${accountPath(account)}/storage/kv/namespaces`, namespaceSchema),
    namespace: (account: string, id: string): Promise<Named | undefined> =>
      orUndefined(NOT_THERE.namespace, () =>
        ask(namespaceSchema, "GET", `${accountPath(account)}/storage/kv/namespaces/${encodeURIComponent(id)}`),
      ),
    /** The first keys of a namespace, at most 10. */
    keys: (account: string, id: string): Promise<readonly { readonly name: string }[]> =>
      ask(
        z.array(z.object({ name: z.string() })),
        "GET",
        `${accountPath(account)}/storage/kv/namespaces/${id}/keys?limit=10`,
      ),
    makeNamespace: (account: string, title: string): Promise<Named | undefined> =>
      orUndefined(NAME_TAKEN.namespace, () =>
        ask(namespaceSchema, "POST", `${accountPath(account)}/storage/kv/namespaces`, { title }),
      ),
  };
}

type Ask = <S extends z.ZodType>(schema: S, method: string, path: string, body?: unknown) => Promise<z.output<S>>;

async function readWorker(ask: Ask, account: string, name: string): Promise<DeployedWorker> {
  const script = `${account}/workers/scripts/${name}`;
  const { default_environment: environment } = await ask(serviceSchema, "GET", `${account}/workers/services/${name}`);
  const [settings, secrets, { deployments }, { schedules }, subdomain, domains, scriptSettings] = await Promise.all([
    ask(settingsSchema, "GET", `${script}/settings`),
    ask(z.array(z.object({ name: z.string() })), "GET", `${script}/secrets`),
    ask(deploymentsSchema, "GET", `${script}/deployments`),
    ask(schedulesSchema, "GET", `${script}/schedules`),
    ask(z.object({ enabled: z.boolean() }), "GET", `${script}/subdomain`),
    ask(z.array(z.object({ hostname: z.string() })), "GET", `${account}/workers/domains?service=${name}`),
    ask(scriptSettingsSchema, "GET", `${script}/script-settings`),
  ]);
  const [version, ...others] = deployments[0]?.versions ?? [];
  const annotations =
    version === undefined || others.length > 0
      ? undefined
      : (await ask(versionSchema, "GET", `${script}/versions/${version.version_id}`)).annotations;
  const versionTag = annotations?.["workers/tag"];
  return {
    migrationTag: environment.script.migration_tag,
    bindings: settings.bindings,
    secrets: secrets.map((secret) => secret.name),
    versionTag: typeof versionTag === "string" ? versionTag : undefined,
    crons: schedules.map(({ cron }) => cron),
    isOnWorkersDev: subdomain.enabled,
    domains: domains.map(({ hostname }) => hostname),
    isObserved: scriptSettings.observability?.enabled ?? false,
  };
}

async function send(
  url: string,
  method: string,
  token: string,
  body: unknown,
): Promise<{ readonly status: number; readonly text: string; readonly retryAfterMs: number | undefined }> {
  try {
    const response = await fetch(url, {
      method,
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(url.endsWith("/query") ? QUERY_TIMEOUT_MS : TIMEOUT_MS),
    });
    const seconds = Number(response.headers.get("Retry-After") ?? NaN);
    const retryAfterMs = Number.isFinite(seconds) ? seconds * 1_000 : undefined;
    return { status: response.status, text: await response.text(), retryAfterMs };
  } catch (error) {
    const reason = error instanceof Error ? error.message : "no reason given";
    const host = new URL(url).host;
    throw new PlatformUnreachable(
      `Cloudflare's API at ${host} did not answer ${method}: ${reason}. Run the command again.`,
      {
        cause: error,
      },
    );
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not the API's JSON: a proxy may have answered with a page.
    return undefined;
  }
}

async function orUndefined<T>(codes: readonly number[], run: () => Promise<T>): Promise<T | undefined> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof PlatformError && error.codes.some((code) => codes.includes(code))) return undefined;
    throw error;
  }
}
