// Runs a built Worker locally: in miniflare, with the Worker's own sockets on the loopback addresses and its state on disk.
import { createHash, createHmac } from "node:crypto";
import { existsSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { Log, LogLevel, Miniflare, convertV4MiniflareOptions } from "miniflare";
import type { V4ModuleDefinition, V4WorkerOptionsShape } from "miniflare";
import { unstable_getMiniflareWorkerOptions, unstable_readConfig } from "wrangler";
import { PRIVATE_FILE, withPrivateFiles } from "../project/private-files.ts";

/** What to run, and where. */
interface LocalOptions {
  readonly configPath: string;
  /** The folder that `buildWorker` wrote the bundle to. */
  readonly bundleDir: string;
  readonly port: number;
  /** The addresses to listen on, from `freeAddresses`. */
  readonly addresses: readonly string[];
  readonly stateDir: string;
  /** Variables and secrets in addition to those of the configuration. */
  readonly bindings?: Readonly<Record<string, string>> | undefined;
  readonly watcher?: RuntimeWatcher | undefined;
}

/** Receives workerd's output and crashes. */
export interface RuntimeWatcher {
  /** Receives a line of workerd's output, which includes the Worker's log. */
  onLog(line: string, isError: boolean): void;
  /** Called when workerd has ended by itself and miniflare has restarted it. */
  onCrash(): void;
}

/** A Worker that is being served. */
export interface LocalServer {
  readonly miniflare: Miniflare;
  readonly origin: string;
}

export const WORKER_NAME = "gatehouse";
const LOOPBACK = ["127.0.0.1", "::1"];
/** Miniflare's own socket is not used, so it takes any port. `cf: false` keeps miniflare from asking Cloudflare's network for data. */
const SHARED = { host: "127.0.0.1", port: 0, cf: false, log: new Log(LogLevel.WARN) };

/** The subfolder that wrangler uses for local state, so that `wrangler d1 execute --local` sees the same databases. */
function persistDir(stateDir: string): string {
  return path.join(stateDir, "v3");
}

/** The file of a local D1 database, which workerd names by a hash of the id. It exists once something was stored. */
export function localDatabaseFile(stateDir: string, id: string): string {
  const namespace = "miniflare-D1DatabaseObject";
  return path.join(persistDir(stateDir), "d1", namespace, nameObjectFile(namespace, id));
}

/** The name of the file of a Durable Object, which workerd makes from the names of its namespace and its own. */
export function nameObjectFile(namespace: string, name: string): string {
  const key = createHash("sha256").update(namespace).digest();
  const sign = (data: string | Buffer): Buffer => createHmac("sha256", key).update(data).digest().subarray(0, 16);
  const id = sign(name);
  const hash = Buffer.concat([id, sign(id)]).toString("hex");
  return `${hash}.sqlite`;
}

/** Which databases to open besides those of the configuration. */
interface StorageOptions {
  /** An environment of the configuration. */
  readonly environment?: string | undefined;
  /** Databases that the configuration does not have yet: their ids by binding. */
  readonly added?: Readonly<Record<string, string>>;
}

/** Opens the local state without serving anything: for loading before the Worker runs, and for commands beside a running server. */
export async function openStorage(
  configPath: string,
  stateDir: string,
  { environment, added = {} }: StorageOptions = {},
): Promise<Miniflare> {
  const { kvNamespaces = {}, d1Databases: declared = {} } = readWorkerOptions(configPath, environment);
  const d1Databases = Object.assign({}, declared, added);
  const script = "export default { fetch: () => new Response(null, { status: 404 }) }";
  const workers = [{ name: "storage", modules: true as const, script, kvNamespaces, d1Databases }];
  return openMiniflare({ ...SHARED, resourcePersistencePath: persistDir(stateDir), workers });
}

/** Starts miniflare. Files that workerd writes are private because it inherits the umask of this process. */
function openMiniflare(options: Parameters<typeof convertV4MiniflareOptions>[0]): Promise<Miniflare> {
  return withPrivateFiles(async () => {
    const miniflare = new Miniflare(convertV4MiniflareOptions(options));
    await miniflare.ready;
    return miniflare;
  });
}

/** Starts a Worker. The port decides the origin, and so the resource that access tokens are bound to. */
export async function startLocal({
  configPath,
  bundleDir,
  port,
  addresses,
  stateDir,
  bindings,
  watcher,
}: LocalOptions): Promise<LocalServer> {
  const worker = workerOf({ configPath, bundleDir, port, addresses, bindings });
  const miniflare = await startWorkers(stateDir, [worker], watcher);
  return { miniflare, origin: originOf(port) };
}

/** Starts several Workers that share their storage. The others may bind the Durable Objects of the first one. */
export async function startWorkers(
  stateDir: string,
  workers: LocalWorker[],
  watcher?: RuntimeWatcher,
): Promise<Miniflare> {
  return openMiniflare({ ...SHARED, ...hooksOf(watcher), resourcePersistencePath: persistDir(stateDir), workers });
}

function hooksOf(watcher: RuntimeWatcher | undefined) {
  if (watcher === undefined) return {};
  return {
    handleStructuredLogs: ({ level, message }: { readonly level: string; readonly message: string }): void =>
      watcher.onLog(message, level === "error" || level === "warn"),
    unsafeHandleRuntimeRestart: (): void => watcher.onCrash(),
  };
}

/** miniflare's options for one Worker. */
type LocalWorker = ReturnType<typeof workerOf>;

/** Builds miniflare's options for a Worker that listens on its own sockets. */
export function workerOf({
  configPath,
  bundleDir,
  port,
  addresses,
  bindings,
}: Omit<LocalOptions, "stateDir" | "watcher">) {
  const workerOptions = readWorkerOptions(configPath);
  return {
    ...workerOptions,
    name: WORKER_NAME,
    modules: modulesOf(bundleDir),
    modulesRoot: bundleDir,
    bindings: { ...workerOptions.bindings, ...bindings, GATEHOUSE_URL: originOf(port) },
    unsafeDirectSockets: addresses.map((host) => ({ host, port })),
  };
}

/** The origin of the local server on a port. */
export function originOf(port: number): string {
  return `http://localhost:${port}`;
}

/** The port of `npm start` unless PORT is set. */
export const DEFAULT_PORT = 8787;

/**
 * Takes this state for this process until it ends, so that no other command opens or deletes it meanwhile. Returns the process that
 * has taken it already; then nothing is taken.
 */
export function takeState(stateDir: string): number | undefined {
  const file = path.join(stateDir, "pid");
  const options = { mode: PRIVATE_FILE, flag: "wx" };
  try {
    writeFileSync(file, String(process.pid), options);
  } catch {
    const runningPid = findRunningPid(stateDir);
    if (runningPid !== undefined) return runningPid;
    // The file of a process that was killed.
    rmSync(file, { force: true });
    writeFileSync(file, String(process.pid), options);
  }
  process.on("exit", () => rmSync(file, { force: true }));
  return undefined;
}

/** The process that noted itself for this state and still runs. A reused process id counts too. */
export function findRunningPid(stateDir: string): number | undefined {
  const file = path.join(stateDir, "pid");
  const pid = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return undefined;
  try {
    process.kill(pid, 0);
    return pid;
  } catch (error) {
    // A server that was killed leaves its file behind. EPERM: the process runs for another user.
    return error instanceof Error && "code" in error && error.code === "EPERM" ? pid : undefined;
  }
}

/** Records the port, so that commands on the same state find the server. */
export function notePort(stateDir: string, port: number): void {
  const file = path.join(stateDir, "port");
  writeFileSync(`${file}.new`, String(port), { mode: PRIVATE_FILE });
  renameSync(`${file}.new`, file);
}

/** The port on which this state is served, or was served last. */
export function notedPort(stateDir: string): number {
  const file = path.join(stateDir, "port");
  const port = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
  return Number.isInteger(port) && port > 0 ? port : DEFAULT_PORT;
}

/** Reads a wrangler configuration, without its rules for finding modules: the bundle already has all of them. */
function readWorkerOptions(configPath: string, environment?: string): V4WorkerOptionsShape {
  const options: V4WorkerOptionsShape = unstable_getMiniflareWorkerOptions(configPath, environment).workerOptions;
  const { modulesRules: _rules, kvNamespaces, ...rest } = options;
  return { ...rest, ...(kvNamespaces === undefined ? {} : { kvNamespaces: localNamespaces(configPath) }) };
}

/** Maps KV bindings to their local ids, so that data stays when a deployment writes real ids. wrangler does this only for D1. */
function localNamespaces(configPath: string): Record<string, string> {
  const { kv_namespaces: namespaces }: { kv_namespaces: { binding: string; id?: string; preview_id?: string }[] } =
    unstable_readConfig({ config: configPath });
  return Object.fromEntries(
    namespaces.map(({ binding, id, preview_id: localId }) => [binding, localId ?? id ?? binding]),
  );
}

/** Lists the bundle's modules: the entry first, then the WebAssembly modules that it imports. */
function modulesOf(bundleDir: string): V4ModuleDefinition[] {
  const files = readdirSync(bundleDir);
  const entry = files.find((file) => file.endsWith(".js"));
  if (entry === undefined) throw new Error(`there is no bundle in ${bundleDir}`);
  const wasm = files.filter((file) => file.endsWith(".wasm"));
  return [
    { type: "ESModule", path: path.join(bundleDir, entry) },
    ...wasm.map((file) => ({ type: "CompiledWasm" as const, path: path.join(bundleDir, file) })),
  ];
}

/** The loopback addresses on which a port is free; undefined when another program has it on one of them. */
export async function freeAddresses(port: number): Promise<readonly string[] | undefined> {
  const probes = await Promise.all(LOOPBACK.map(async (host) => ({ host, state: await probe(host, port) })));
  if (probes.some(({ state }) => state === "taken")) return undefined;
  return probes.filter(({ state }) => state === "free").map(({ host }) => host);
}

function probe(host: string, port: number): Promise<"free" | "taken" | "absent"> {
  return new Promise((resolve) => {
    const server = createServer();
    // A machine without IPv6 has no ::1.
    const isAbsent = (code: string | undefined): boolean => code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT";
    server.once("error", (error: NodeJS.ErrnoException) => resolve(isAbsent(error.code) ? "absent" : "taken"));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve("free")));
  });
}
