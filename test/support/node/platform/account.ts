// The state of one account in the fake of Cloudflare's API, and the requests that it refuses.
import { randomUUID } from "node:crypto";
import { DatabaseSync } from "node:sqlite";

export const ACCOUNT = "0123456789abcdef0123456789abcdef";

/** An error response of the API. */
export class Refusal extends Error {
  readonly status: number;
  readonly code: number;

  constructor(status: number, code: number, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export interface Database {
  readonly uuid: string;
  readonly name: string;
  readonly content: DatabaseSync;
}

interface MetadataBinding {
  readonly name: string;
  readonly type: string;
  readonly [key: string]: unknown;
}

export interface Metadata {
  readonly main_module: string;
  readonly bindings: readonly MetadataBinding[];
  readonly keep_bindings?: readonly string[];
  readonly migrations?: {
    readonly old_tag?: string;
    readonly new_tag: string;
    readonly steps: readonly {
      readonly new_sqlite_classes?: readonly string[];
      readonly new_classes?: readonly string[];
    }[];
  };
  readonly annotations?: Readonly<Record<string, string>>;
  readonly observability?: { readonly enabled: boolean };
}

export interface Version {
  readonly id: string;
  readonly bindings: readonly MetadataBinding[];
  readonly secrets: ReadonlyMap<string, string>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface Worker {
  readonly name: string;
  readonly tag: string;
  migrationTag: string | undefined;
  classes: readonly string[];
  readonly versions: Version[];
  /** Newest first. */
  readonly deployments: { readonly id: string; readonly version: string }[];
  crons: readonly string[];
  isOnWorkersDev: boolean;
  observability: { readonly enabled: boolean } | undefined;
}

export type Account = ReturnType<typeof createAccount>;

/** Creates an account that has nothing but its workers.dev subdomain. */
export function createAccount(subdomain: string | undefined) {
  const databases: Database[] = [];
  const namespaces: { readonly id: string; readonly title: string; readonly keys: string[] }[] = [];
  const workers = new Map<string, Worker>();
  const domains: { readonly hostname: string; readonly service: string }[] = [];

  const workerOf = (name: string): Worker => {
    const worker = workers.get(name);
    if (worker === undefined) throw new Refusal(404, 10007, "This Worker does not exist on your account.");
    return worker;
  };

  const requireBindable = (bindings: readonly MetadataBinding[], classes: readonly string[]): void => {
    for (const { name, type, ...rest } of bindings) {
      const isThere =
        type === "d1"
          ? databases.some(({ uuid }) => uuid === rest["id"])
          : type === "kv_namespace"
            ? namespaces.some(({ id }) => id === rest["namespace_id"])
            : type === "durable_object_namespace"
              ? classes.includes(String(rest["class_name"]))
              : true;
      if (!isThere) throw new Refusal(400, 10021, `binding ${name} of type ${type} must have a valid target specified`);
    }
  };

  /** Builds a version from an upload, with the previous version's secrets when the upload keeps them. */
  const versionOf = (
    worker: Worker | undefined,
    { bindings, keep_bindings: keptTypes = [], annotations = {} }: Metadata,
  ): Version => {
    const before = worker?.versions.at(-1);
    const secrets = new Map(keptTypes.includes("secret_text") ? before?.secrets : []);
    for (const { name, type, text } of bindings) if (type === "secret_text") secrets.set(name, String(text));
    return { id: randomUUID(), bindings: bindings.filter(({ type }) => type !== "secret_text"), secrets, annotations };
  };

  return {
    subdomain,
    databases,
    namespaces,
    workers,
    domains,
    workerOf,

    databaseOf(id: string): Database {
      const database = databases.find(({ uuid, name }) => uuid === id || name === id);
      if (database === undefined) throw new Refusal(404, 7404, "The database does not exist.");
      return database;
    },

    makeDatabase(name: string): Database {
      if (databases.some((database) => database.name === name))
        throw new Refusal(400, 7502, "Database with name already exists");
      const database = { uuid: randomUUID(), name, content: new DatabaseSync(":memory:") };
      databases.push(database);
      return database;
    },

    makeNamespace(title: string): { readonly id: string; readonly title: string; readonly keys: string[] } {
      if (namespaces.some((namespace) => namespace.title === title))
        throw new Refusal(400, 10014, "a namespace with this account ID and title already exists");
      const namespace = { id: randomUUID().replaceAll("-", ""), title, keys: [] };
      namespaces.push(namespace);
      return namespace;
    },

    /** `PUT /workers/scripts/x`: uploads and deploys at once. Only this request takes Durable Object migrations. */
    putWorker(name: string, metadata: Metadata): Version {
      const existing = workers.get(name);
      const { migrations } = metadata;
      if (migrations !== undefined && migrations.old_tag !== existing?.migrationTag)
        throw new Refusal(412, 10079, `Actor migration tag precondition failed: got ${migrations.old_tag ?? "none"}`);
      const newClasses =
        migrations?.steps.flatMap((step) => [...(step.new_sqlite_classes ?? []), ...(step.new_classes ?? [])]) ?? [];
      const duplicate = newClasses.find((newClass) => existing?.classes.includes(newClass));
      if (duplicate !== undefined)
        throw new Refusal(400, 10074, `Cannot apply new-class migration to ${duplicate}, which exists.`);
      const classes = [...(existing?.classes ?? []), ...newClasses];
      requireBindable(metadata.bindings, classes);
      const version = versionOf(existing, metadata);
      const worker: Worker = existing ?? {
        name,
        tag: randomUUID(),
        migrationTag: undefined,
        classes,
        versions: [],
        deployments: [],
        crons: [],
        isOnWorkersDev: false,
        observability: undefined,
      };
      worker.classes = classes;
      worker.migrationTag = migrations?.new_tag ?? worker.migrationTag;
      worker.observability = metadata.observability;
      worker.versions.push(version);
      worker.deployments.unshift({ id: randomUUID(), version: version.id });
      workers.set(name, worker);
      return version;
    },

    /** `POST …/versions`: uploads without deploying. */
    postVersion(name: string, metadata: Metadata): Version {
      const worker = workerOf(name);
      if (metadata.migrations !== undefined)
        throw new Refusal(400, 10211, "migrations must be fully applied by deploying before a version can be uploaded");
      requireBindable(metadata.bindings, worker.classes);
      const version = versionOf(worker, metadata);
      worker.versions.push(version);
      return version;
    },

    setDomains(service: string, hostnames: readonly string[]): void {
      const others = domains.filter((domain) => domain.service !== service && !hostnames.includes(domain.hostname));
      domains.splice(0, domains.length, ...others, ...hostnames.map((hostname) => ({ hostname, service })));
    },

    /** The version that serves requests. */
    deployedVersion(name: string): Version {
      const worker = workerOf(name);
      const version = worker.versions.find(({ id }) => id === worker.deployments[0]?.version);
      if (version === undefined) throw new Refusal(404, 10007, "There is no deployment.");
      return version;
    },
  };
}
