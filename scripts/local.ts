// Runs a built Worker on this machine: miniflare with the Worker's own socket on the loopback addresses, state on disk.
import { existsSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { Log, LogLevel, Miniflare, convertV4MiniflareOptions } from "miniflare";
import type { V4ModuleDefinition, V4WorkerOptionsShape } from "miniflare";
import { unstable_getMiniflareWorkerOptions, unstable_readConfig } from "wrangler";
import { PRIVATE_FILE, withPrivateFiles } from "./private-files.ts";

export interface LocalOptions {
  readonly configPath: string;
  /** The bundle's folder, as buildWorker left it. */
  readonly bundleDir: string;
  readonly port: number;
  /** Where to listen: of `freeAddresses`. */
  readonly addresses: readonly string[];
  readonly stateDir: string;
  /** Variables and secrets besides those of the configuration. */
  readonly bindings?: Readonly<Record<string, string>> | undefined;
  readonly watcher?: RuntimeWatcher | undefined;
}

/** Who follows workerd from outside. */
export interface RuntimeWatcher {
  /** Takes a line that it has written; the Worker's log among them. */
  onLog(line: string, isError: boolean): void;
  /** It has ended by itself, and miniflare has started it again. */
  onCrash(): void;
}

export interface LocalServer {
  readonly miniflare: Miniflare;
  readonly origin: string;
}

export const WORKER_NAME = "gatehouse";
const LOOPBACK = ["127.0.0.1", "::1"];
/** Miniflare's own socket, which nobody uses; no look-up of Cloudflare's network. */
const SHARED = { host: "127.0.0.1", port: 0, cf: false, log: new Log(LogLevel.WARN) };

/** Where wrangler keeps local state below a folder, so that `wrangler d1 execute --local` sees the same databases. */
function persistDir(stateDir: string): string {
  return path.join(stateDir, "v3");
}

/** Opens the same state without serving anything: for migrations and loading, before the Worker runs. */
export async function openStorage(configPath: string, stateDir: string): Promise<Miniflare> {
  const { kvNamespaces = {}, d1Databases = {} } = readWorkerOptions(configPath);
  const script = "export default { fetch: () => new Response(null, { status: 404 }) }";
  const workers = [{ name: "storage", modules: true as const, script, kvNamespaces, d1Databases }];
  return openMiniflare({ ...SHARED, resourcePersistencePath: persistDir(stateDir), workers });
}

/** workerd inherits from this process who may read what it writes. */
function openMiniflare(options: Parameters<typeof convertV4MiniflareOptions>[0]): Promise<Miniflare> {
  return withPrivateFiles(async () => {
    const miniflare = new Miniflare(convertV4MiniflareOptions(options));
    await miniflare.ready;
    return miniflare;
  });
}

/** Starts it. The origin, and so the resource that tokens are bound to, follows the port. */
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

/** Starts several that share their storage; the first is the one whose objects the others may name. */
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

export type LocalWorker = ReturnType<typeof workerOf>;

/** A Worker on its own sockets. */
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

export function originOf(port: number): string {
  return `http://localhost:${port}`;
}

export const DEFAULT_PORT = 8787;

/** Tells commands on the same state where it is served. */
export function notePort(stateDir: string, port: number): void {
  const file = path.join(stateDir, "port");
  writeFileSync(`${file}.new`, String(port), { mode: PRIVATE_FILE });
  renameSync(`${file}.new`, file);
}

/** The port where this state is served, or was last. */
export function notedPort(stateDir: string): number {
  const file = path.join(stateDir, "port");
  const port = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
  return Number.isInteger(port) && port > 0 ? port : DEFAULT_PORT;
}

/** What a wrangler configuration says, without the rules for finding modules: the bundle has them all. */
function readWorkerOptions(configPath: string): V4WorkerOptionsShape {
  const options: V4WorkerOptionsShape = unstable_getMiniflareWorkerOptions(configPath).workerOptions;
  const { modulesRules: _rules, kvNamespaces, ...rest } = options;
  return { ...rest, ...(kvNamespaces === undefined ? {} : { kvNamespaces: localNamespaces(configPath) }) };
}

/** A deployment writes real ids down; this machine goes on with the data that it had. wrangler does so for D1 alone. */
function localNamespaces(configPath: string): Record<string, string> {
  const { kv_namespaces: namespaces }: { kv_namespaces: { binding: string; id?: string; preview_id?: string }[] } =
    unstable_readConfig({ config: configPath });
  return Object.fromEntries(
    namespaces.map(({ binding, id, preview_id: localId }) => [binding, localId ?? id ?? binding]),
  );
}

/** The bundle's entry first, then what it imports. */
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

/** The loopback addresses of this machine on which the port is free, or undefined when somebody has it on one of them. */
export async function freeAddresses(port: number): Promise<readonly string[] | undefined> {
  const probes = await Promise.all(LOOPBACK.map(async (host) => ({ host, state: await probe(host, port) })));
  if (probes.some(({ state }) => state === "taken")) return undefined;
  return probes.filter(({ state }) => state === "free").map(({ host }) => host);
}

function probe(host: string, port: number): Promise<"free" | "taken" | "absent"> {
  return new Promise((resolve) => {
    const server = createServer();
    // A machine without IPv6 has no ::1 to be taken.
    const isAbsent = (code: string | undefined): boolean => code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT";
    server.once("error", (error: NodeJS.ErrnoException) => resolve(isAbsent(error.code) ? "absent" : "taken"));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve("free")));
  });
}
