// The dependency table of docs/design.md, held against the imports of src/.
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";

const ROOT = path.resolve(import.meta.dirname, "../..");

/** Folder or file of src/ → what it may import besides itself. `*` is everything. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  lib: [],
  sql: ["errors", "lib"],
  policy: ["sql", "errors", "lib"],
  limits: [],
  config: ["limits", "policy", "sql", "errors", "lib"],
  catalogue: ["config"],
  "gatehouse.config": ["config", "catalogue"],
  workspace: ["sql", "errors", "lib"],
  sources: ["policy", "sql", "storage", "workspace:type", "errors", "lib"],
  storage: ["policy:type", "errors", "lib"],
  ledger: ["storage", "policy:type", "errors", "lib"],
  changes: ["policy", "sources", "storage", "ledger", "errors", "lib"],
  access: ["policy", "sql", "sources", "changes", "ledger", "workspace", "storage", "config:type", "errors", "lib"],
  ui: ["errors", "lib"],
  apps: [],
  server: ["access", "apps", "policy:type", "config:type", "sql:type", "errors", "lib"],
  auth: ["ui", "ledger", "storage", "config:type", "policy:type", "errors", "lib"],
  web: ["ui", "auth", "access", "policy", "storage", "changes", "ledger", "errors", "lib"],
  mcp: ["session", "hub", "errors", "lib"],
  session: ["mcp", "hub", "errors", "lib"],
  hub: ["mcp", "session", "errors", "lib"],
  people: ["*"],
  opened: ["*"],
  http: ["*"],
  gatehouse: ["*"],
  index: ["gatehouse", "gatehouse.config"],
};

/** Package or text → the places of src/ that may have it. */
const ONLY_IN: readonly (readonly [RegExp, readonly string[]])[] = [
  [/from "@modelcontextprotocol\/server/, ["mcp", "session", "hub", "server"]],
  [/from "(?:@modelcontextprotocol\/client|@modelcontextprotocol\/sdk|agents)/, ["sources/upstream"]],
  [/from "@cloudflare\/workers-oauth-provider/, ["auth", "gatehouse"]],
  [/from "hono/, ["ui", "auth", "web"]],
  [/\.prepare\(/, ["sources", "storage", "changes"]],
  [
    /Date\.now|randomUUID|getRandomValues/,
    [
      "gatehouse",
      "people",
      "opened",
      "http",
      "lib",
      "session/session-object",
      "ledger/ledger-object",
      "hub/hub-object",
      "workspace/workspace-object",
      "auth/grants/grant-object",
    ],
  ],
];

/** What the tools may import: no binding, no source, no SDK. */
const TOOL_IMPORTS =
  /^(?:zod|(?:\.\.\/)+(?:tool|result|caller|errors)\.ts|(?:\.\.\/)+(?:access|sql|errors|policy)\/[a-z-]+\.ts)$/;

const MAX_LINES = 400;

interface Import {
  readonly target: string;
  readonly isType: boolean;
}

interface SourceFile {
  /** `policy/evaluate`, below src/ and without its ending. */
  readonly name: string;
  readonly text: string;
  readonly imports: readonly Import[];
}

const files = readdirSync(path.join(ROOT, "src"), { recursive: true, encoding: "utf8" })
  .filter((file) => /\.tsx?$/.test(file))
  .map((file): SourceFile => {
    const text = readFileSync(path.join(ROOT, "src", file), "utf8");
    const folder = path.dirname(file);
    const imports = [...text.matchAll(/^(?:import|export)( type)?[^;]*? from "(\.[^"]+)"/gm)].map(
      ([, type, from = ""]) => ({
        target: path.normalize(path.join(folder, from)).replace(/\.tsx?$/, ""),
        isType: type !== undefined,
      }),
    );
    return { name: file.replace(/\.tsx?$/, ""), text, imports };
  });

const roomOf = (name: string): string => name.split(path.sep)[0] ?? name;

describe("src/", () => {
  it("tools get the gateway and nothing else", () => {
    const tools = files.filter(
      ({ name }) => /^server\/tools\/(?:own\/)?[a-z-]+$/.test(name) && name !== "server/tools/own",
    );
    const wrong = tools.flatMap(({ name, text }) =>
      [...text.matchAll(/^import( type)?[^;]*? from "([^"]+)"/gm)].flatMap(([, type, from = ""]) => {
        const isValue = type === undefined && /access|sql|policy/.test(from);
        return !TOOL_IMPORTS.test(from) || isValue ? [`${name} imports ${from}`] : [];
      }),
    );
    expect(tools.length).toBeGreaterThanOrEqual(4);
    expect(wrong).toEqual([]);
  });

  it("imports only along the table", () => {
    const wrong = files.flatMap(({ name, imports }) => {
      const room = roomOf(name);
      const allowed = MAY_IMPORT[room];
      if (allowed === undefined) return [`${name}: ${room} is not in the table`];
      return imports.flatMap(({ target, isType }) => {
        const to = roomOf(target);
        // package.json is the one file outside that is read, for the version.
        const isFine =
          to === room ||
          allowed.includes("*") ||
          allowed.includes(to) ||
          (isType && allowed.includes(`${to}:type`)) ||
          target === path.join("..", "package.json");
        return isFine ? [] : [`${name} → ${target}`];
      });
    });
    expect(wrong).toEqual([]);
  });

  it("has no import cycle between files", () => {
    const graph = new Map(
      files.map(({ name, imports }) => [name, imports.filter((one) => !one.isType).map((one) => one.target)]),
    );
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (name: string, trail: readonly string[]): void => {
      if (trail.includes(name)) return void cycles.push([...trail.slice(trail.indexOf(name)), name].join(" → "));
      if (done.has(name)) return;
      for (const next of graph.get(name) ?? []) visit(next, [...trail, name]);
      done.add(name);
    };
    for (const name of graph.keys()) visit(name, []);
    expect(cycles).toEqual([]);
  });

  it.each(ONLY_IN)("%s stands only in %j", (pattern, places) => {
    const elsewhere = files.filter(
      ({ name, text }) => pattern.test(text) && !places.some((place) => name === place || name.startsWith(`${place}/`)),
    );
    expect(elsewhere.map(({ name }) => name)).toEqual([]);
  });

  it("nobody imports the entry or the composition root", () => {
    const wrong = files.filter(
      ({ name, imports }) => name !== "index" && imports.some(({ target }) => ["index", "gatehouse"].includes(target)),
    );
    expect(wrong.map(({ name }) => name)).toEqual([]);
  });

  it(`has no file over ${MAX_LINES} lines, and each says its place in its first line, tests too`, () => {
    const tests = readdirSync(path.join(ROOT, "test"), { recursive: true, encoding: "utf8" })
      .filter((name) => /\.tsx?$/.test(name))
      .map((name) => ({ name, text: readFileSync(path.join(ROOT, "test", name), "utf8") }));
    const all = [...files, ...tests];
    expect(tests.length).toBeGreaterThan(0);
    expect(all.filter(({ text }) => text.split("\n").length > MAX_LINES).map(({ name }) => name)).toEqual([]);
    expect(all.filter(({ text }) => !text.startsWith("// ")).map(({ name }) => name)).toEqual([]);
  });
});
