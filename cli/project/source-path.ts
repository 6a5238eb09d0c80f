// Finds the place in the operator's files that a path of the policy's object comes from, such as sources.shop.tables.orders: through
// constants, imports, spreads and JSON files, as far as the files write the objects out.
import type { Node as JsonNode } from "jsonc-parser";
import type { ProblemPath } from "../../src/policy/policy-problem.ts";
import { importedName, listImports, nameOf } from "./source-graph.ts";
import type { SourceGraph } from "./source-graph.ts";
import { isNode, keyOf, nodesOf } from "./source-text.ts";
import type { SourceFile, SourceModule, SourceNode } from "./source-text.ts";

/** A character of a file. */
interface Place {
  readonly file: string;
  readonly offset: number;
}

/** Where a path comes from. */
export interface FoundPath extends Place {
  /** The part of the path that the file writes out. */
  readonly written: ProblemPath;
  /** Whether code computes what comes after `written`. Otherwise the whole path is written, or the next key is missing. */
  readonly isComputed: boolean;
}

/** An expression of a module, a part of a JSON file, or all exports of a module. */
type Value =
  | { readonly kind: "expression"; readonly module: SourceModule; readonly node: SourceNode }
  | { readonly kind: "json"; readonly file: string; readonly node: JsonNode }
  | { readonly kind: "exports"; readonly module: SourceModule };

interface Entry {
  readonly place: Place;
  readonly value: Value;
}

/** `computed`: the code does not write the entries out. `absent`: it does, and this is none of them. */
type Lookup = Entry | "computed" | "absent";

/** How many constants, imports and calls a value may lead through: a limit against circles. */
const MAX_STEPS = 40;

/** Finds a path of the object that the policy file exports, or with `file` of the data in that file. */
export function findPath({ entry, files }: SourceGraph, path: ProblemPath, file?: string): FoundPath | undefined {
  const source = files.get(file ?? entry);
  if (source === undefined) return undefined;
  const lookup = source.kind === "json" ? rootOf(source) : findExport(files, source, "default");
  if (typeof lookup === "string") return { file: source.file, offset: 0, written: [], isComputed: true };
  let current = lookup;
  for (const [index, part] of path.entries()) {
    const next = findEntry(files, current.value, part);
    if (typeof next === "string")
      return { ...current.place, written: path.slice(0, index), isComputed: next === "computed" };
    current = next;
  }
  return { ...current.place, written: path, isComputed: false };
}

type Files = SourceGraph["files"];

function rootOf({ file, ...source }: SourceFile): Lookup {
  if (!("root" in source)) return "computed";
  const { root } = source;
  return { place: { file, offset: root.offset }, value: { kind: "json", file, node: root } };
}

function findEntry(files: Files, value: Value, part: string | number, steps = 0): Lookup {
  const target = resolve(files, value, steps);
  if (target === undefined) return "computed";
  switch (target.kind) {
    case "exports":
      return typeof part === "number" ? "absent" : findExport(files, target.module, part, steps + 1);
    case "json":
      return findInJson(target.file, target.node, part);
    case "expression":
      if (target.node.type === "ObjectExpression") return findProperty(files, target.module, target.node, part, steps);
      if (target.node.type === "ArrayExpression" && typeof part === "number")
        return findElement(files, target.module, target.node, part, steps);
      return "computed";
  }
}

function findInJson(file: string, node: JsonNode, part: string | number): Lookup {
  const children = node.children ?? [];
  if (typeof part === "number") {
    const element = node.type === "array" ? children[part] : undefined;
    return element === undefined ? "absent" : { place: { file, offset: element.offset }, value: jsonOf(file, element) };
  }
  const property = node.type === "object" ? children.find((child) => child.children?.[0]?.value === part) : undefined;
  const inner = property?.children?.[1];
  if (property === undefined || inner === undefined) return "absent";
  return { place: { file, offset: property.offset }, value: jsonOf(file, inner) };
}

function jsonOf(file: string, node: JsonNode): Value {
  return { kind: "json", file, node };
}

/** Looks from the last property, which wins, to the first. */
function findProperty(
  files: Files,
  module: SourceModule,
  object: SourceNode,
  part: string | number,
  steps: number,
): Lookup {
  for (const property of nodesOf(object["properties"]).toReversed()) {
    const inner = property[property.type === "SpreadElement" ? "argument" : "value"];
    if (!isNode(inner)) return "computed";
    const value: Value = { kind: "expression", module, node: inner };
    if (property.type === "SpreadElement") {
      const lookup = findEntry(files, value, part, steps + 1);
      if (lookup !== "absent") return lookup;
      continue;
    }
    const key = keyOf(property);
    if (key === undefined) return "computed";
    if (key === String(part)) return { place: { file: module.file, offset: property.range[0] }, value };
  }
  return "absent";
}

function findElement(files: Files, module: SourceModule, array: SourceNode, index: number, steps: number): Lookup {
  let first = 0;
  for (const element of nodesOf(array["elements"])) {
    const inner = element.type === "SpreadElement" ? element["argument"] : element;
    if (!isNode(inner)) return "computed";
    const value: Value = { kind: "expression", module, node: inner };
    const length = element.type === "SpreadElement" ? lengthOf(files, value, steps + 1) : 1;
    if (length === undefined) return "computed";
    if (index < first + length)
      return element.type === "SpreadElement"
        ? findEntry(files, value, index - first, steps + 1)
        : { place: { file: module.file, offset: inner.range[0] }, value };
    first += length;
  }
  return "absent";
}

function lengthOf(files: Files, value: Value, steps: number): number | undefined {
  const target = resolve(files, value, steps);
  if (target?.kind === "json") return target.node.children?.length;
  if (target?.kind !== "expression" || target.node.type !== "ArrayExpression") return undefined;
  const lengths = nodesOf(target.node["elements"]).map((element) =>
    element.type !== "SpreadElement"
      ? 1
      : isNode(element["argument"])
        ? lengthOf(files, { ...target, node: element["argument"] }, steps + 1)
        : undefined,
  );
  return lengths.reduce<number | undefined>(
    (sum, length) => (sum === undefined || length === undefined ? undefined : sum + length),
    0,
  );
}

/** Calls whose result has the entries of an argument, by the argument's position. */
const TRANSPARENT_CALLS: Readonly<Record<string, number>> = { defineGatehouse: 0, readSource: 1, freeze: 0 };

/** Follows a value to the object, list, JSON or module that it stands for; undefined if code computes it. */
function resolve(files: Files, value: Value, steps: number): Value | undefined {
  if (steps > MAX_STEPS) return undefined;
  if (value.kind !== "expression") return value;
  const { module, node } = value;
  const inside = (inner: unknown): Value | undefined =>
    isNode(inner) ? resolve(files, { kind: "expression", module, node: inner }, steps + 1) : undefined;
  switch (node.type) {
    case "TSAsExpression":
    case "TSSatisfiesExpression":
    case "TSNonNullExpression":
    case "TSTypeAssertion":
      return inside(node["expression"]);
    case "Identifier":
      return findBinding(files, module, String(node["name"]), steps + 1);
    case "MemberExpression": {
      const object = inside(node["object"]);
      const name =
        node["computed"] === true && isNode(node["property"]) && node["property"].type !== "Literal"
          ? undefined
          : nameOf(node["property"]);
      if (object === undefined || name === undefined) return undefined;
      const lookup = findEntry(files, object, name, steps + 1);
      return typeof lookup === "string" ? undefined : resolve(files, lookup.value, steps + 1);
    }
    case "CallExpression": {
      const { callee } = node;
      const name = isNode(callee)
        ? nameOf(callee.type === "MemberExpression" ? callee["property"] : callee)
        : undefined;
      const position = name === undefined ? undefined : TRANSPARENT_CALLS[name];
      return position === undefined ? undefined : inside(nodesOf(node["arguments"])[position]);
    }
    default:
      return value;
  }
}

/** Finds what a name stands for at the top of a module: a constant or an import. */
function findBinding(files: Files, module: SourceModule, name: string, steps: number): Value | undefined {
  for (const { statement, target } of listImports(module)) {
    const specifier = nodesOf(statement["specifiers"]).find(({ local }) => nameOf(local) === name);
    const source = target === undefined ? undefined : files.get(target);
    if (specifier === undefined || source === undefined || statement.type !== "ImportDeclaration") continue;
    if (source.kind === "json") return jsonOf(source.file, source.root);
    const imported = importedName(specifier);
    if (imported === undefined) return { kind: "exports", module: source };
    const lookup = findExport(files, source, imported, steps + 1);
    return typeof lookup === "string" ? undefined : resolve(files, lookup.value, steps + 1);
  }
  for (const statement of module.body) {
    const declaration = statement.type === "ExportNamedDeclaration" ? statement["declaration"] : statement;
    if (!isNode(declaration) || declaration.type !== "VariableDeclaration" || declaration["kind"] !== "const") continue;
    const declarator = nodesOf(declaration["declarations"]).find(({ id }) => nameOf(id) === name);
    if (isNode(declarator?.["init"]))
      return resolve(files, { kind: "expression", module, node: declarator["init"] }, steps + 1);
  }
  return undefined;
}

function findExport(files: Files, module: SourceModule, name: string, steps = 0): Lookup {
  if (steps > MAX_STEPS) return "computed";
  const at = (node: SourceNode, value: SourceNode): Entry => ({
    place: { file: module.file, offset: node.range[0] },
    value: { kind: "expression", module, node: value },
  });
  for (const statement of module.body) {
    const { declaration } = statement;
    if (statement.type === "ExportDefaultDeclaration" && name === "default" && isNode(declaration))
      return at(statement, declaration);
    if (statement.type !== "ExportNamedDeclaration") continue;
    const declarator = isNode(declaration)
      ? nodesOf(declaration["declarations"]).find(({ id }) => nameOf(id) === name)
      : undefined;
    if (isNode(declarator?.["init"])) return at(declarator, declarator["init"]);
    const specifier = nodesOf(statement["specifiers"]).find(({ exported }) => nameOf(exported) === name);
    if (specifier === undefined || !isNode(specifier["local"])) continue;
    const link = listImports({ ...module, body: [statement] })[0];
    if (link === undefined) return at(specifier, specifier["local"]);
    const source = link.target === undefined ? undefined : files.get(link.target);
    if (source?.kind !== "module") return "computed";
    return findExport(files, source, importedName(specifier) ?? "default", steps + 1);
  }
  return "computed";
}
