// The files that introspection keeps: one JSON file for each source, which people edit, and the module that puts them
// together, which they do not.
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseD1Source } from "../../src/policy/schema.ts";
import type { D1SourceInput } from "../../src/policy/schema.ts";

/** What stands wrong in a file that a person edits. */
export class FileProblem extends Error {}

const CATALOGUE = "src/catalogue";
const SCHEMA_WIDTH = 2;

export function sourceFile(root: string, source: string): string {
  return path.join(root, CATALOGUE, `${source}.json`);
}

/** The file of a source, if there is one. Throws `FileProblem` with its path and what would be right. */
export function readSourceFile(root: string, source: string): D1SourceInput | undefined {
  const file = sourceFile(root, source);
  if (!existsSync(file)) return undefined;
  const name = path.relative(root, file);
  let data: unknown;
  try {
    data = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new FileProblem(`${name} is no JSON: ${error instanceof Error ? error.message : "it cannot be read"}.`);
  }
  const parsed = parseD1Source(data);
  if (parsed.success) return data as D1SourceInput;
  const problems = parsed.error.issues.map(({ path: at, message }) => `- ${at.join(".")}: ${message}`);
  throw new FileProblem(`${name} has ${problems.length} problem(s):\n${problems.join("\n")}`);
}

/** Writes the file of a source, whole or not at all, and the module anew. */
export function writeSourceFile(root: string, source: string, data: D1SourceInput): void {
  mkdirSync(path.join(root, CATALOGUE), { recursive: true });
  writeWhole(sourceFile(root, source), `${JSON.stringify(data, null, SCHEMA_WIDTH)}\n`);
  const sources = readdirSync(path.join(root, CATALOGUE))
    .filter((file) => file.endsWith(".json"))
    .map((file) => path.basename(file, ".json"))
    .toSorted();
  writeWhole(path.join(root, `${CATALOGUE}.ts`), moduleOf(sources));
}

function writeWhole(file: string, text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

/** The text of `src/catalogue.ts`. */
export function moduleOf(sources: readonly string[]): string {
  const imports = sources.map(
    (source) => `import ${source}Data from "./catalogue/${source}.json" with { type: "json" };\n`,
  );
  const read = sources.map((source) => `  ${source}: readSource("src/catalogue/${source}.json", ${source}Data),\n`);
  const roles = sources.map(
    (source) =>
      `  "${roleOf(source)}": {\n    description: "Reads what has been opened of ${source}",\n    rules: [{ action: "read", datasets: ["${source}.*"] }],\n  },\n`,
  );
  const held = sources.map((source) => `"${roleOf(source)}"`).join(", ");
  const owner = sources.length === 0 ? "" : `\n  { email: "owner@example.com", name: "Owner", roles: [${held}] },\n`;
  return [
    "// Written by `npm run introspect`, which writes it anew: the sources that it has read, with a role for each and somebody to\n// begin with. Write roles and people of your own in gatehouse.config.ts.\n",
    sources.length === 0 ? "" : `import { readSource } from "./config.ts";\n`,
    `import type { GatehouseInput } from "./config.ts";\n`,
    ...imports,
    `\nexport const sources: GatehouseInput["sources"] = {${sources.length === 0 ? "" : `\n${read.join("")}`}};\n`,
    `\nexport const roles: GatehouseInput["roles"] = {${sources.length === 0 ? "" : `\n${roles.join("")}`}};\n`,
    `\nexport const members: GatehouseInput["members"] = [${owner}];\n`,
  ].join("");
}

function roleOf(source: string): string {
  return `${source.replaceAll("_", "-")}-reader`;
}
