// Bundles each benchmarked Worker and writes the workerd configuration that serves it.
import { mkdirSync, writeFileSync } from "node:fs";
import { builtinModules } from "node:module";
import path from "node:path";
import { build } from "esbuild";
import type { Plugin } from "esbuild";

/** A benchmarked Worker. */
export interface Subject {
  readonly name: string;
  /** Durable Object classes by binding. */
  readonly objects: Readonly<Record<string, string>>;
}

/** All benchmarked Workers, by the name of their file in workers/. */
export const SUBJECTS: readonly Subject[] = [
  { name: "gatehouse", objects: { SESSION: "SessionObject", HUB: "HubObject" } },
  { name: "session-agent", objects: { SESSION: "SessionObject" } },
  { name: "stateless", objects: {} },
  { name: "bare-object", objects: { SESSION: "SessionObject" } },
  { name: "bare", objects: {} },
];

/** Resolves the SDK to this folder's copy everywhere, so that Gatehouse's sources use the same copy. */
const singleSdk: Plugin = {
  name: "single SDK",
  setup(bundler) {
    bundler.onResolve(
      { filter: /^(?:zod|@modelcontextprotocol\/server)(?:\/|$)/ },
      ({ path: name, kind, pluginData }) =>
        pluginData === "resolved"
          ? undefined
          : bundler.resolve(name, { kind, resolveDir: import.meta.dirname, pluginData: "resolved" }),
    );
  },
};

/** Replaces cloudflare:email, which plain workerd lacks. The agents package imports it, but no subject sends mail. */
const noMail: Plugin = {
  name: "no mail",
  setup(bundler) {
    bundler.onResolve({ filter: /^cloudflare:email$/ }, () => ({ path: "email", namespace: "no-mail" }));
    bundler.onLoad({ filter: /.*/, namespace: "no-mail" }, () => ({ contents: "export class EmailMessage {}" }));
  },
};

/** Bundles a subject to `<name>.js` in `dir`, and returns the path of its workerd configuration. */
export async function buildSubject({ name, objects }: Subject, port: number, dir: string): Promise<string> {
  const outfile = path.join(dir, `${name}.js`);
  const nodeNames = Object.fromEntries(
    builtinModules.filter((module) => !module.startsWith("node:")).map((module) => [module, `node:${module}`]),
  );
  await build({
    entryPoints: [path.join(import.meta.dirname, "workers", `${name}.ts`)],
    bundle: true,
    format: "esm",
    target: "es2024",
    minify: true,
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*", "node:*"],
    alias: nodeNames,
    plugins: [singleSdk, noMail],
    outfile,
    logLevel: "error",
  });
  const state = path.join(dir, `${name}-state`);
  mkdirSync(state, { recursive: true });
  const configPath = path.join(dir, `${name}.capnp`);
  writeFileSync(configPath, workerdConfig({ name, objects }, port, state));
  return configPath;
}

function workerdConfig({ name, objects }: Subject, port: number, state: string): string {
  const classes = Object.values(objects);
  const namespaces = classes.map(
    (className) => `(className = "${className}", uniqueKey = "${name}-${className}", enableSql = true)`,
  );
  const bindings = Object.entries(objects).map(
    ([binding, className]) => `(name = "${binding}", durableObjectNamespace = "${className}")`,
  );
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "state", disk = (path = "${state}", writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);
const main :Workerd.Worker = (
  modules = [(name = "main.js", esModule = embed "${name}.js")],
  compatibilityDate = "2026-10-23",
  bindings = [${bindings.join(", ")}],
  durableObjectNamespaces = [${namespaces.join(", ")}],
  durableObjectStorage = (localDisk = "state"),
);
`;
}
