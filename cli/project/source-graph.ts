// The modules that make up a policy, from the policy file along its imports, and what is wrong with them before any of them runs.
import { existsSync, statSync } from "node:fs";
import path from "node:path";
import { suggestName } from "../../src/sql/suggest.ts";
import { isNode, listRepeatedKeys, nodesOf, parseSource } from "./source-text.ts";
import type { SourceFile, SourceModule, SourceNode, SourceProblem } from "./source-text.ts";

/** The modules and JSON files of a policy by path. */
export interface SourceGraph {
  readonly entry: string;
  readonly files: ReadonlyMap<string, SourceFile>;
  readonly problems: readonly SourceProblem[];
}

/** Gatehouse's own module, which every policy imports: its exports count, and what it imports is no part of a policy. */
const OWN_MODULE = path.join("src", "config", "define-gatehouse.ts");

/** Whether a file belongs to Gatehouse, not to the operator. */
export function isOwnModule(file: string): boolean {
  return file.endsWith(`${path.sep}${OWN_MODULE}`);
}

/** Parses the policy file and the modules and JSON files that it imports by relative paths. */
export function readSourceGraph(entry: string): SourceGraph {
  const files = new Map<string, SourceFile>();
  const problems: SourceProblem[] = [];
  const seen = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    const source = parseSource(file);
    if (!("kind" in source)) return void problems.push(source);
    files.set(file, source);
    if (isOwnModule(file)) return;
    problems.push(...listRepeatedKeys(source));
    if (source.kind === "json") return;
    for (const link of listImports(source)) {
      const problem = findImportProblem(source, link);
      if (problem !== undefined) problems.push(problem);
      else if (link.target !== undefined) visit(link.target);
    }
  };
  visit(entry);
  const graph = { entry, files, problems };
  return { ...graph, problems: [...problems, ...listMissingExports(graph)] };
}

/** An import or a re-export. */
export interface ImportLink {
  readonly statement: SourceNode;
  /** The node of the module's name. */
  readonly source: SourceNode;
  readonly specifier: string;
  /** The file that a relative specifier leads to, which may not exist. */
  readonly target: string | undefined;
}

/** Lists what a module imports when it runs: imports of types are removed before. */
export function listImports({ file, body }: SourceModule): readonly ImportLink[] {
  return body.flatMap((statement): ImportLink[] => {
    const source = statement["source"];
    if (!isNode(source) || statement["importKind"] === "type" || statement["exportKind"] === "type") return [];
    const specifier = String(source["value"]);
    const target = /^\.{1,2}\//.test(specifier) ? path.resolve(path.dirname(file), specifier) : undefined;
    return [{ statement, source, specifier, target }];
  });
}

function findImportProblem({ file }: SourceModule, link: ImportLink): SourceProblem | undefined {
  const { statement, source, specifier, target } = link;
  if (target === undefined) return undefined;
  const at = { file, offset: source.range[0] };
  if (!existsSync(target) || !statSync(target).isFile())
    return { ...at, message: `there is no file ${specifier}.${suggestFile(target, specifier)}` };
  const isDeclaredJson = nodesOf(statement["attributes"]).some(
    ({ value }) => isNode(value) && value["value"] === "json",
  );
  if (target.endsWith(".json") && !isDeclaredJson)
    return {
      ...at,
      message: `a JSON file is imported with { type: "json" }: from "${specifier}" with { type: "json" }.`,
    };
  return undefined;
}

/** An import names its file with the ending. */
function suggestFile(target: string, specifier: string): string {
  const ending = [".ts", ".json", "/index.ts"].find((candidate) => existsSync(`${target}${candidate}`));
  if (ending !== undefined) return ` Did you mean ${specifier}${ending}?`;
  const typescript = target.replace(/\.m?js$/, ".ts");
  return typescript !== target && existsSync(typescript) ? ` Did you mean ${specifier.replace(/\.m?js$/, ".ts")}?` : "";
}

function listMissingExports(graph: SourceGraph): readonly SourceProblem[] {
  return [...graph.files.values()].flatMap((source) =>
    source.kind === "json" || isOwnModule(source.file)
      ? []
      : listImports(source).flatMap((link) => findMissingExports(graph, source, link)),
  );
}

function findMissingExports(
  { files }: SourceGraph,
  { file }: SourceModule,
  { statement, specifier, target }: ImportLink,
): readonly SourceProblem[] {
  const source = target === undefined ? undefined : files.get(target);
  if (source === undefined) return [];
  const names = source.kind === "json" ? ["default"] : listExports(files, source);
  // A module that passes on the exports of a package, which are not known here.
  if (names === undefined) return [];
  return nodesOf(statement["specifiers"]).flatMap((imported): SourceProblem[] => {
    const name = importedName(imported);
    if (name === undefined || imported["importKind"] === "type" || names.includes(name)) return [];
    const suggestion = suggestName(name, names);
    const choice = suggestion === undefined ? ` It has: ${names.join(", ")}.` : ` Did you mean ${suggestion}?`;
    return [{ file, offset: imported.range[0], message: `${specifier} has no export ${name}.${choice}` }];
  });
}

/** The name that an import or re-export takes from its module; undefined for all of it. */
export function importedName(specifier: SourceNode): string | undefined {
  if (specifier.type === "ImportDefaultSpecifier") return "default";
  if (specifier.type === "ImportSpecifier") return nameOf(specifier["imported"]);
  return specifier.type === "ExportSpecifier" ? nameOf(specifier["local"]) : undefined;
}

/** The name that an identifier or a text names. */
export function nameOf(node: unknown): string | undefined {
  if (!isNode(node)) return undefined;
  return node.type === "Identifier"
    ? String(node["name"])
    : node.type === "Literal"
      ? String(node["value"])
      : undefined;
}

/** The names that a module exports when it runs; undefined when it passes on those of a package. */
function listExports(
  files: SourceGraph["files"],
  { file, body }: SourceModule,
  seen: readonly string[] = [],
): readonly string[] | undefined {
  const names: string[] = [];
  for (const statement of body) {
    if (statement.type === "ExportDefaultDeclaration") names.push("default");
    if (statement.type === "ExportAllDeclaration") {
      const specifier = nameOf(statement["source"]) ?? "";
      const target = path.resolve(path.dirname(file), specifier);
      const source = files.get(target);
      if (source?.kind !== "module" || seen.includes(target)) return undefined;
      const inherited = nameOf(statement["exported"]);
      const passedOn = inherited === undefined ? listExports(files, source, [...seen, target]) : [inherited];
      if (passedOn === undefined) return undefined;
      names.push(...passedOn);
    }
    if (statement.type !== "ExportNamedDeclaration" || statement["exportKind"] === "type") continue;
    names.push(
      ...nodesOf(statement["specifiers"]).flatMap((specifier) => nameOf(specifier["exported"]) ?? []),
      ...declaredNames(statement["declaration"]),
    );
  }
  return names;
}

/** The names of values that a declaration declares. */
function declaredNames(declaration: unknown): readonly string[] {
  if (!isNode(declaration)) return [];
  if (declaration.type === "VariableDeclaration")
    return nodesOf(declaration["declarations"]).flatMap(({ id }) => nameOf(id) ?? []);
  return nameOf(declaration["id"]) === undefined ? [] : [String(nameOf(declaration["id"]))];
}
