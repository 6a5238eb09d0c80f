// Parses the files that make up a policy, TypeScript and JSON, into trees with positions: TypeScript with prettier's parser, JSON with
// jsonc-parser. Finds what Node would refuse in a file by itself: syntax errors, and keys that are written twice.
import { readFileSync } from "node:fs";
import { parseTree, printParseErrorCode } from "jsonc-parser";
import type { Node as JsonNode, ParseError } from "jsonc-parser";
import type { ParserOptions } from "prettier";
import { parsers } from "prettier/plugins/typescript";
import * as z from "zod";

/** A node of an ESTree with its other fields unchecked. `range` has its first character, and the one after its last. */
export interface SourceNode {
  readonly type: string;
  readonly range: readonly [number, number];
  readonly [field: string]: unknown;
}

/** A mistake at a character of a file. */
export interface SourceProblem {
  readonly file: string;
  /** The text of a file that could not be parsed. */
  readonly text?: string;
  readonly offset: number;
  readonly message: string;
}

/** A parsed module. */
export interface SourceModule {
  readonly kind: "module";
  readonly file: string;
  readonly text: string;
  /** The statements. */
  readonly body: readonly SourceNode[];
}

/** A parsed JSON file. */
export interface JsonFile {
  readonly kind: "json";
  readonly file: string;
  readonly text: string;
  readonly root: JsonNode;
}

export type SourceFile = SourceModule | JsonFile;

/** Whether a value is a node. */
export function isNode(value: unknown): value is SourceNode {
  return typeof value === "object" && value !== null && "type" in value && "range" in value;
}

/** The nodes of a field that is a list. The holes of arrays are left out. */
export function nodesOf(value: unknown): readonly SourceNode[] {
  return Array.isArray(value) ? value.filter(isNode) : [];
}

/** Parses a file; a file that cannot be parsed gives its first syntax error. */
export function parseSource(file: string): SourceFile | SourceProblem {
  const text = readFileSync(file, "utf8");
  return file.endsWith(".json") ? parseJson(file, text) : parseModule(file, text);
}

function parseJson(file: string, text: string): SourceFile | SourceProblem {
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, { disallowComments: true, allowTrailingComma: false });
  const [first] = errors;
  if (root !== undefined && first === undefined) return { kind: "json", file, text, root };
  const reason = first === undefined ? "is empty" : `has ${describeJsonError(printParseErrorCode(first.error))} here`;
  return { file, text, offset: first?.offset ?? 0, message: `${reason}, so it is not valid JSON. ${JSON_HINT}` };
}

const JSON_HINT =
  "In JSON, every entry except the last ends with a comma, and names and texts are in double quotes, without comments.";

/** Rephrases the name of an error, such as CommaExpected or EndOfFileExpected. */
function describeJsonError(code: string): string {
  const words = code
    .replaceAll(/([a-z])([A-Z])/g, "$1 $2")
    .toLowerCase()
    .replace(/^(.+) expected$/, "no $1");
  return words.startsWith("no ") ? `${words}, which it needs` : `an ${words}`.replace(/^an (?![aeiou])/, "a ");
}

/** What the parser throws for a syntax error. Lines and columns begin with 1. */
const syntaxError = z.object({
  message: z.string(),
  loc: z.object({ start: z.object({ line: z.number(), column: z.number() }) }),
});

function parseModule(file: string, text: string): SourceFile | SourceProblem {
  try {
    // The parser needs no option but the path, by whose ending it tells TypeScript from TSX.
    const tree: unknown = parsers.typescript.parse(text, { filepath: file } as ParserOptions);
    return { kind: "module", file, text, body: isNode(tree) ? nodesOf(tree["body"]) : [] };
  } catch (error) {
    const parsed = syntaxError.safeParse(error);
    if (!parsed.success) throw error;
    const { line, column } = parsed.data.loc.start;
    const message = parsed.data.message.replace(/ \(\d+:\d+\)[^]*$/, "").replace(/\.$/, "");
    return { file, text, offset: offsetOf(text, line, column), message: `is not valid TypeScript: ${message}.` };
  }
}

/** The offset of a line and column, both beginning with 1. */
export function offsetOf(text: string, line: number, column: number): number {
  const before = text.split("\n").slice(0, line - 1);
  return before.reduce((sum, each) => sum + each.length + 1, 0) + column - 1;
}

/** Lists keys that an object has twice: the last one would win without a message. */
export function listRepeatedKeys(source: SourceFile): readonly SourceProblem[] {
  return source.kind === "json" ? repeatedInJson(source, source.root) : source.body.flatMap(repeatedIn(source.file));
}

function repeatedInJson({ file }: JsonFile, root: JsonNode): readonly SourceProblem[] {
  const visit = (node: JsonNode): readonly SourceProblem[] => {
    const children = node.children ?? [];
    const keys = node.type === "object" ? children.flatMap(({ children: [key] = [] }) => key ?? []) : [];
    const names = keys.map(({ value, offset }) => ({ name: String(value), offset }));
    return [...repeated(file, names), ...children.flatMap(visit)];
  };
  return visit(root);
}

function repeatedIn(file: string): (node: SourceNode) => readonly SourceProblem[] {
  const visit = (node: SourceNode): readonly SourceProblem[] => {
    const properties = node.type === "ObjectExpression" ? nodesOf(node["properties"]) : [];
    const names = properties.flatMap((property) => {
      const name = keyOf(property);
      return name === undefined ? [] : [{ name, offset: property.range[0] }];
    });
    const inside = Object.values(node).flatMap((field) => (isNode(field) ? [field] : nodesOf(field)));
    return [...repeated(file, names), ...inside.flatMap(visit)];
  };
  return visit;
}

function repeated(
  file: string,
  names: readonly { readonly name: string; readonly offset: number }[],
): readonly SourceProblem[] {
  return names
    .filter(({ name }, index) => names.findIndex((other) => other.name === name) < index)
    .map(({ name, offset }) => ({ file, offset, message: `the key ${name} is here a second time. Keep one.` }));
}

/** The key of a property, if the file writes it out. */
export function keyOf(property: SourceNode): string | undefined {
  const key = property["key"];
  if (property.type !== "Property" || !isNode(key)) return undefined;
  if (key.type === "Literal") return String(key["value"]);
  return key.type === "Identifier" && property["computed"] !== true ? String(key["name"]) : undefined;
}
