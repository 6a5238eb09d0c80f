// `npm run new:tool -- top-customers`: begins a tool of one's own, as one file that reads through the gateway, and puts it into
// the server's list.
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { root, runTool } from "./build.ts";
import { print, printFailure } from "./terminal.ts";

const FOLDER = path.join(root, "src/server/tools/own");
const LIST = path.join(root, "src/server/tools/own.ts");
/** Names of tools that are there, and what several clients take: letters, digits, _ and -. */
const TAKEN = ["search", "fetch", "describe", "query", "chart", "change", "undo", "call"];

function camel(name: string): string {
  return name.replace(/[-_]+([a-z0-9])/g, (_found, letter: string) => letter.toUpperCase());
}

function toolText(name: string): string {
  const title = name.replace(/[-_]+/g, " ").replace(/^./, (letter) => letter.toUpperCase());
  return `// The tool \`${name}\`: say here what it is for.
import * as z from "zod";
import { jsonResult } from "../../result.ts";
import { defineReadTool } from "../../tool.ts";

export const ${camel(name)}Tool = defineReadTool({
  name: "${name}",
  title: "${title}",
  // For the model: what it gives, and when to use it. Every word costs tokens in each conversation.
  description: "Counts what is in a table of a source.",
  // A plain object: no unions, which some clients refuse.
  input: z.strictObject({
    source: z.string().max(100).describe("e.g. shop"),
    table: z.string().max(100).regex(/^[A-Za-z_][A-Za-z0-9_]*$/).describe("a table that describe names"),
  }),
  // Arguments that name something: clients that send "" for one of these do not give it.
  names: ["source", "table"],
  // The gateway is all that a tool gets: what it reads is decided for the caller, and recorded.
  run: async (gateway, caller, { source, table }) => {
    const sql = \`SELECT count(*) AS rows FROM "\${table}"\`;
    return jsonResult(await gateway.query(caller, { what: { source, sql }, params: [], limit: 1 }));
  },
});
`;
}

/** The list of all tools in the folder. */
function listText(names: readonly string[]): string {
  const imports = names.map((name) => `import { ${camel(name)}Tool } from "./own/${name}.ts";\n`).join("");
  const list = names.map((name) => `${camel(name)}Tool`).join(", ");
  return `// The tools of this organisation, as \`npm run new:tool\` lists them: one file each in own/.\nimport type { Tool } from "../tool.ts";\n${imports}\nexport const OWN_TOOLS: readonly Tool[] = [${list}];\n`;
}

async function main(): Promise<string> {
  const [name, ...others] = process.argv.slice(2);
  if (name === undefined || others.length > 0 || !/^[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*$/.test(name) || name.length > 60)
    throw new Error("Give a name in lower-case letters, digits, - and _: npm run new:tool -- top-customers");
  if (TAKEN.includes(name)) throw new Error(`Gatehouse has a tool ${name}. Choose another name.`);
  const file = path.join(FOLDER, `${name}.ts`);
  if (existsSync(file)) throw new Error(`src/server/tools/own/${name}.ts is there already.`);
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(file, toolText(name));
  const names = readdirSync(FOLDER)
    .filter((one) => one.endsWith(".ts"))
    .map((one) => path.basename(one, ".ts"))
    .toSorted();
  writeFileSync(LIST, listText(names));
  await runTool("prettier", ["--write", "--log-level", "warn", file, LIST]);
  return `src/server/tools/own/${name}.ts: made, and listed in src/server/tools/own.ts. docs/tools.md says what a tool may do.`;
}

try {
  print(await main());
} catch (error) {
  printFailure(error);
  process.exit(1);
}
