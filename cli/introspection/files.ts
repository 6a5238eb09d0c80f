// Reads and writes the files of introspection: one JSON file per source, which operators edit, and the module that combines them, which
// they do not edit.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { format, resolveConfig } from "prettier";
import { listSchemaProblems } from "../../src/policy/policy-problem.ts";
import { parseD1Source } from "../../src/policy/policy-schema.ts";
import type { D1SourceInput } from "../../src/policy/policy-schema.ts";
import { requireValidData } from "../project/load-policy.ts";
import { replaceFile } from "./configuration.ts";

/** Holds a JSON file for each introspected source. */
export const SCHEMA_FOLDER = "src/introspected-schema";
const JSON_INDENT = 2;

/** Gives the path of a source's file. */
export function sourceFile(root: string, source: string): string {
  return path.join(root, SCHEMA_FOLDER, `${source}.json`);
}

/** Reads the file of a source, if there is one. Throws `CliError` with the place of each mistake. */
export function readSourceFile(root: string, source: string): D1SourceInput | undefined {
  const file = sourceFile(root, source);
  if (!existsSync(file)) return undefined;
  requireValidData(file, root, (data) => {
    const parsed = parseD1Source(data);
    return parsed.success ? [] : listSchemaProblems(parsed.error);
  });
  return JSON.parse(readFileSync(file, "utf8")) as D1SourceInput;
}

/** Lists the files that `writeSourceFile` writes. */
export function listWrittenFiles(root: string, source: string): readonly string[] {
  return [sourceFile(root, source), path.join(root, `${SCHEMA_FOLDER}.ts`)];
}

/** Writes the file of a source and the module that imports it. Each file is replaced as a whole. */
export async function writeSourceFile(root: string, source: string, data: D1SourceInput): Promise<void> {
  const sources = new Set([source, ...listSources(root)]);
  const [dataFile = "", moduleFile = ""] = listWrittenFiles(root, source);
  const json = await formatText(dataFile, JSON.stringify(data, null, JSON_INDENT));
  const module = await formatText(moduleFile, moduleOf([...sources].toSorted()));
  replaceFile(dataFile, json);
  replaceFile(moduleFile, module);
}

/** Writes the module without a source, whose file stays. */
export async function leaveSourceOut(root: string, source: string): Promise<void> {
  const others = listSources(root).filter((name) => name !== source);
  const [, moduleFile = ""] = listWrittenFiles(root, source);
  replaceFile(moduleFile, await formatText(moduleFile, moduleOf(others.toSorted())));
}

/** Lists the introspected sources. */
export function listSources(root: string): readonly string[] {
  const folder = path.join(root, SCHEMA_FOLDER);
  const files = existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith(".json")) : [];
  return files.map((file) => path.basename(file, ".json"));
}

async function formatText(file: string, text: string): Promise<string> {
  return format(text, { ...(await resolveConfig(file)), filepath: file });
}

/** Builds the text of `src/introspected-schema.ts`. */
function moduleOf(sources: readonly string[]): string {
  const imports = sources.map(
    (source) => `import ${source}Data from "./introspected-schema/${source}.json" with { type: "json" };\n`,
  );
  const sourceLines = sources.map(
    (source) => `  ${source}: readSource("src/introspected-schema/${source}.json", ${source}Data),\n`,
  );
  const roles = sources.map((source) =>
    [
      `  "${roleOf(source)}": {`,
      `    description: "Reads the opened tables and columns of ${source}",`,
      `    rules: [{ action: "read", datasets: ["${source}.*"] }],`,
      "  },\n",
    ].join("\n"),
  );
  const roleNames = sources.map((source) => `"${roleOf(source)}"`).join(", ");
  const owner =
    sources.length === 0 ? "" : `\n  { email: "owner@example.com", name: "Owner", roles: [${roleNames}] },\n`;
  return [
    "// Written by `npm run introspect`, which overwrites it: the introspected sources, a role that reads each, and a first member.\n",
    "// Declare your own roles and members in gatehouse.config.ts.\n",
    sources.length === 0 ? "" : `import { readSource } from "./config/define-gatehouse.ts";\n`,
    `import type { GatehouseInput } from "./config/define-gatehouse.ts";\n`,
    ...imports,
    `\nexport const sources: GatehouseInput["sources"] = {${sources.length === 0 ? "" : `\n${sourceLines.join("")}`}};\n`,
    `\nexport const roles: GatehouseInput["roles"] = {${sources.length === 0 ? "" : `\n${roles.join("")}`}};\n`,
    `\nexport const members: GatehouseInput["members"] = [${owner}];\n`,
  ].join("");
}

/** Names the role that reads a source. */
export function roleOf(source: string): string {
  return `${source.replaceAll("_", "-")}-reader`;
}
