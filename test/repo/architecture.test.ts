// Checks the imports of src/ against the order of folders in docs/design.md, the operations that a suffix or folder allows, and sizes.
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { parseSync } from "vite";

const ROOT = path.resolve(import.meta.dirname, "../..");

/** Folders and top-level files of src/. Each may import, types included, only itself and entries below it. */
const ORDER: readonly string[] = [
  "index",
  "app",
  "gatehouse.config",
  "introspected-schema",
  "pages",
  "server",
  "server/tools",
  "server/tools/custom",
  "server/kit",
  "oauth",
  "oauth/clients",
  "oauth/grants",
  "sign-in",
  "gateway",
  "changes",
  "changes/notifications",
  "audit-reading",
  "personal-access-tokens",
  "members",
  "saved-queries",
  "results",
  "documents",
  "tables",
  "masking-tokens",
  "answers",
  "read",
  "audit/archive",
  "audit",
  "config",
  "policy",
  "sql",
  "sql/engine",
  "mcp",
  "mcp/sessions",
  "mcp/subscriptions",
  "mcp/elicitation",
  "mcp/wire",
  "ui",
  "lib",
  "errors",
];

/** The protocol runtime serves any server definition, so it must not depend on data, policy or tools. */
const RUNTIME = /^mcp(?:\/|$)/;
const RUNTIME_IMPORTS = /^(?:mcp|lib|errors)(?:\/|$)/;

interface SuffixRule {
  /** The operation, as the end of "only allowed files …". */
  readonly operation: string;
  readonly pattern: RegExp;
  /** Matches the paths below src/ of the files that may do it. */
  readonly allowed: RegExp;
}

const RULES: readonly SuffixRule[] = [
  { operation: "prepare SQL", pattern: /\.prepare\(/, allowed: /-store\.ts$|^tables\// },
  { operation: "import cloudflare:workers", pattern: /from "cloudflare:workers"/, allowed: /-object\.ts$|^app\// },
  { operation: "import hono", pattern: /^import (?!type ).*from "hono/m, allowed: /-api\.ts$|\.tsx$/ },
  {
    operation: "import the MCP SDK's server",
    pattern: /from "@modelcontextprotocol\/server/,
    allowed: /^(?:mcp|server)\//,
  },
  {
    operation: "import a client SDK",
    pattern: /from "(?:@modelcontextprotocol\/(?:client|sdk)|agents)/,
    allowed: /^upstream\//,
  },
  {
    operation: "import the OAuth provider",
    pattern: /from "@cloudflare\/workers-oauth-provider/,
    allowed: /^(?:oauth|app)\//,
  },
  {
    operation: "read the clock or draw random values",
    pattern: /Date\.now|randomUUID|getRandomValues/,
    allowed: /-object\.ts$|^(?:app|lib)\//,
  },
];

/** The modules that a tool may import. Bindings, sources and SDKs are not among them. */
const TOOL_IMPORTS =
  /^(?:zod|(?:\.\.\/)+kit\/(?!register-tool\.ts)[a-z-]+\.ts|(?:\.\.\/)+errors\.ts|(?:\.\.\/)+(?:gateway|answers|results|sql|policy)\/[a-z-]+\.ts)$/;

const MAX_FILE_LINES = 400;
const MAX_FUNCTION_LINES = 60;
const MAX_SOURCE_COLUMNS = 140;

interface SourceFile {
  /** The path below src/: `policy/evaluate.ts`. */
  readonly file: string;
  readonly text: string;
  readonly imports: readonly { readonly target: string; readonly isType: boolean }[];
}

const files: readonly SourceFile[] = readdirSync(path.join(ROOT, "src"), { recursive: true, encoding: "utf8" })
  .filter((file) => /\.tsx?$/.test(file))
  .map((file) => {
    const text = readFileSync(path.join(ROOT, "src", file), "utf8");
    const imports = [...text.matchAll(/^(?:import|export)( type)?[^;]*? from "(\.[^"]+)"/gm)].map(
      ([, type, from = ""]) => ({
        target: path.normalize(path.join(path.dirname(file), from)),
        isType: type !== undefined,
      }),
    );
    return { file, text, imports };
  });

function readTests(): readonly { readonly file: string; readonly text: string }[] {
  return readdirSync(path.join(ROOT, "test"), { recursive: true, encoding: "utf8" })
    .filter((file) => /\.tsx?$/.test(file))
    .map((file) => ({ file, text: readFileSync(path.join(ROOT, "test", file), "utf8") }));
}

/** Returns the folder of a file, or the file's own name at the top level. */
function folderOf(file: string): string {
  const folder = path.dirname(file);
  return folder === "." ? file.replace(/\.tsx?$/, "") : folder;
}

/** Lists the cycles of a graph, each as `a → b → a`. */
function listCycles(graph: ReadonlyMap<string, ReadonlySet<string>>): readonly string[] {
  const visited = new Set<string>();
  const cycles: string[] = [];
  const visit = (node: string, trail: readonly string[]): void => {
    if (trail.includes(node)) return void cycles.push([...trail.slice(trail.indexOf(node)), node].join(" → "));
    if (visited.has(node)) return;
    for (const next of graph.get(node) ?? []) visit(next, [...trail, node]);
    visited.add(node);
  };
  for (const node of graph.keys()) visit(node, []);
  return cycles;
}

interface SyntaxNode {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

function isNode(value: unknown): value is SyntaxNode {
  return typeof value === "object" && value !== null && "type" in value && "start" in value && "end" in value;
}

/** Lists the functions of a file that are too long, not counting nested functions. */
function listLongFunctions({ file, text }: SourceFile): readonly string[] {
  const longFunctions: string[] = [];
  const countLines = ({ start, end }: SyntaxNode): number => text.slice(start, end).split("\n").length;
  const visit = (value: unknown): number => {
    if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + visit(item), 0);
    if (typeof value !== "object" || value === null) return 0;
    const innerLines = Object.values(value).reduce<number>((sum, child) => sum + visit(child), 0);
    if (!isNode(value) || !/^(?:FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(value.type))
      return innerLines;
    const lines = countLines(value);
    if (lines - innerLines > MAX_FUNCTION_LINES)
      longFunctions.push(`${file}:${text.slice(0, value.start).split("\n").length} has ${lines - innerLines} lines`);
    return lines - 1;
  };
  visit(parseSync(file, text).program);
  return longFunctions;
}

describe("src/", () => {
  it("has no folder that the order in docs/design.md lacks", () => {
    const unlisted = files.map(({ file }) => folderOf(file)).filter((folder) => !ORDER.includes(folder));
    expect([...new Set(unlisted)]).toEqual([]);
  });

  it("imports only downwards in the order of folders, types included", () => {
    const wrong = files.flatMap(({ file, imports }) => {
      const from = folderOf(file);
      return imports.flatMap(({ target }) => {
        // src/ imports package.json for the version.
        if (target === path.join("..", "package.json")) return [];
        const to = folderOf(target);
        return to === from || ORDER.indexOf(to) > ORDER.indexOf(from) ? [] : [`${file} → ${target}`];
      });
    });
    expect(wrong).toEqual([]);
  });

  it("keeps imports of data, policy and tools out of the protocol runtime", () => {
    const wrong = files.flatMap(({ file, imports }) =>
      RUNTIME.test(folderOf(file))
        ? imports
            .filter(({ target }) => !RUNTIME_IMPORTS.test(folderOf(target)))
            .map(({ target }) => `${file} → ${target}`)
        : [],
    );
    expect(wrong).toEqual([]);
  });

  it("imports only sql/, lib/ and errors.ts in policy/, so that decisions do no I/O", () => {
    const wrong = files.flatMap(({ file, imports }) =>
      folderOf(file) === "policy"
        ? imports.filter(({ target }) => !/^(?:policy|sql|lib|errors)(?:\/|$)/.test(folderOf(target)))
        : [],
    );
    expect(wrong).toEqual([]);
  });

  it("has no import cycle between folders at any depth, types included", () => {
    const parents = (folder: string): readonly string[] =>
      folder.split("/").map((_, index, parts) => parts.slice(0, index + 1).join("/"));
    const graphs = new Map<number, Map<string, Set<string>>>();
    for (const { file, imports } of files)
      for (const { target } of imports) {
        const [from, to] = [parents(folderOf(file)), parents(folderOf(target))];
        for (const depth of [1, 2, 3]) {
          const [source, sink] = [from[depth - 1] ?? from.at(-1) ?? "", to[depth - 1] ?? to.at(-1) ?? ""];
          if (source === sink || target.startsWith("..")) continue;
          const graph = graphs.get(depth) ?? new Map<string, Set<string>>();
          graphs.set(depth, graph);
          graph.set(source, (graph.get(source) ?? new Set()).add(sink));
        }
      }
    expect([...graphs.values()].flatMap(listCycles)).toEqual([]);
  });

  it("has no import cycle between files", () => {
    const graph = new Map(
      files.map(({ file, imports }) => [
        file,
        new Set(imports.filter(({ isType }) => !isType).map(({ target }) => target)),
      ]),
    );
    expect(listCycles(graph)).toEqual([]);
  });

  it.each(RULES)("lets only files with the right suffix or folder $operation", ({ pattern, allowed }) => {
    const wrong = files.filter(({ file, text }) => pattern.test(text) && !allowed.test(file));
    expect(wrong.map(({ file }) => file)).toEqual([]);
  });

  it("imports only zod, the kit, errors.ts and types in tools", () => {
    const tools = files.filter(({ file }) => /^server\/tools\/(?:custom\/[a-z0-9_-]+|[a-z-]+-tool)\.ts$/.test(file));
    const wrong = tools.flatMap(({ file, text }) =>
      [...text.matchAll(/^import( type)?[^;]*? from "([^"]+)"/gm)].flatMap(([, type, from = ""]) => {
        const isValue = type === undefined && /gateway|answers|results|sql|policy/.test(from);
        return !TOOL_IMPORTS.test(from) || isValue ? [`${file} imports ${from}`] : [];
      }),
    );
    expect(tools.length).toBeGreaterThanOrEqual(4);
    expect(wrong).toEqual([]);
  });

  it("has each basename only once", () => {
    const basenames = files.map(({ file }) => path.basename(file).replace(/\.tsx?$/, ""));
    expect(basenames.filter((name, index) => basenames.indexOf(name) !== index)).toEqual([]);
  });

  it("imports the entry and the composition root only in index.ts", () => {
    const wrong = files.filter(
      ({ file, imports }) =>
        file !== "index.ts" &&
        imports.some(({ target }) => ["index.ts", path.join("app", "create-gatehouse.ts")].includes(target)),
    );
    expect(wrong.map(({ file }) => file)).toEqual([]);
  });

  it(`has no function over ${MAX_FUNCTION_LINES} lines, not counting nested functions`, () => {
    expect(files.flatMap(listLongFunctions)).toEqual([]);
  });

  it(`has no line over ${MAX_SOURCE_COLUMNS} characters`, () => {
    const long = files.flatMap(({ file, text }) =>
      text.split("\n").flatMap((line, index) => (line.length > MAX_SOURCE_COLUMNS ? [`${file}:${index + 1}`] : [])),
    );
    expect(long).toEqual([]);
  });

  it(`has no file over ${MAX_FILE_LINES} lines, and test/ has none either`, () => {
    const tests = readTests();
    const all = [...files, ...tests];
    expect(tests.length).toBeGreaterThan(0);
    expect(all.filter(({ text }) => text.split("\n").length > MAX_FILE_LINES).map(({ file }) => file)).toEqual([]);
  });

  it("begins every file with a comment, and so does test/", () => {
    const all = [...files, ...readTests()];
    expect(all.filter(({ text }) => !text.startsWith("// ")).map(({ file }) => file)).toEqual([]);
  });
});
