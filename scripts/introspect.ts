// `npm run introspect -- <binding or file>`: reads a database of this machine and writes its declaration, with everything
// hidden until a person opens it. Run again, it brings the declaration up to date.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { parseArgs } from "node:util";
import { experimental_patchConfig, unstable_readConfig } from "wrangler";
import { OWN_DATABASE } from "../src/policy/check.ts";
import { reservedPrefixOf } from "../src/sql/identifier.ts";
import { root, runTool } from "./build.ts";
import { RefusedFile } from "./introspection/file-authorizer.ts";
import { FileProblem, readSourceFile, sourceFile, writeSourceFile } from "./introspection/files.ts";
import { guessTables } from "./introspection/guess.ts";
import { loadInto, openFile } from "./introspection/load.ts";
import { mergeTables } from "./introspection/merge.ts";
import type { Merged } from "./introspection/merge.ts";
import { humanised } from "./introspection/words.ts";
import { readDatabase } from "./introspection/schema.ts";
import type { FoundDatabase } from "./introspection/schema.ts";
import { openStorage } from "./local.ts";
import { openStateFolder } from "./private-files.ts";
import { migrateLocal } from "./migrations.ts";
import { print, printDefect, printFailure, printLines } from "./terminal.ts";

const USAGE = `Give a binding of wrangler.jsonc, or a file: npm run introspect -- CRM_DB, or npm run introspect -- crm.sqlite (.db, .sql).`;
const configPath = path.join(root, "wrangler.jsonc");
const policyPath = path.join(root, "src/gatehouse.config.ts");

/** Something that the person who runs this can mend; shown without a stack. */
class IntrospectProblem extends Error {}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { remote: { type: "boolean", default: false } },
  });
  const [target, ...others] = positionals;
  if (target === undefined || others.length > 0) throw new IntrospectProblem(USAGE);
  const isFile = /\.(?:sqlite3?|db|sql)$/i.test(target);
  if (values.remote) throw new IntrospectProblem(remoteText(target));
  const binding = isFile ? bindingOf(target) : target;
  if (binding === OWN_DATABASE)
    throw new IntrospectProblem(
      isFile
        ? `A database of this name would be Gatehouse's own. Give the file another name.`
        : `${OWN_DATABASE} is Gatehouse's own database: who is a member, and what is kept of them. No source can be it.`,
    );
  const source = sourceOf(binding);
  const before = readSourceFile(root, source);
  const opened = isFile ? openDump(path.resolve(process.env["INIT_CWD"] ?? process.cwd(), target)) : undefined;
  if (isFile) await declareBinding(binding, source);
  requireBinding(binding);

  const found = await readLocal(binding, opened);
  opened?.close();
  const merged = mergeTables(before?.tables ?? {}, guessTables(found.tables));
  const title = before?.title ?? humanised(source);
  writeSourceFile(root, source, {
    description: title,
    recursion: false,
    ...before,
    kind: "d1",
    binding,
    title,
    tables: merged.tables,
  });
  const written = [sourceFile(root, source), path.join(root, "src/catalogue.ts"), configPath];
  await runTool("prettier", ["--write", "--log-level", "warn", ...written]);
  report(source, found, merged, before !== undefined);
}

function sourceOf(binding: string): string {
  const name = binding
    .toLowerCase()
    .replace(/_?db$/, "")
    .replace(/[^a-z0-9]+/g, "_")
    .replace(/^[^a-z]+|_+$/g, "");
  if (name === "" || reservedPrefixOf(name) !== undefined || /^(?:workspace|r[0-9]+)$/.test(name))
    throw new IntrospectProblem(`No source can be named after ${binding}. Name the binding otherwise, such as CRM_DB.`);
  return name;
}

function bindingOf(file: string): string {
  const name = path
    .basename(file, path.extname(file))
    .toUpperCase()
    .replace(/[^A-Z0-9]+/g, "_");
  return `${name.replace(/^[^A-Z]+|_+$/g, "") || "DATA"}_DB`;
}

function remoteText(target: string): string {
  return `A deployed database is read through a copy: npx wrangler d1 export <its name> --remote --output ${target.toLowerCase()}.sql, then npm run introspect -- ${target.toLowerCase()}.sql.`;
}

function bindings(): readonly string[] {
  return unstable_readConfig({ config: configPath })
    .d1_databases.map((one: { readonly binding: string }) => one.binding)
    .filter((binding: string) => binding !== OWN_DATABASE);
}

function requireBinding(binding: string): void {
  const known = bindings();
  if (known.includes(binding)) return;
  const choice = known.length === 0 ? "It has none." : `It has: ${known.join(", ")}.`;
  throw new IntrospectProblem(`wrangler.jsonc has no database ${binding}. ${choice} ${USAGE}`);
}

async function declareBinding(binding: string, source: string): Promise<void> {
  if (bindings().includes(binding)) return;
  const name = source.replaceAll("_", "-");
  experimental_patchConfig(configPath, {
    d1_databases: [{ binding, database_name: name, database_id: `local-${name}` }],
  });
  await runTool("wrangler", ["types", "--include-runtime=false", "--strict-vars=false"]);
  print(`wrangler.jsonc: added the database ${binding}. Set its database_id before you deploy.`);
}

/** Reads the local copy, after loading a file into it when it is empty. */
async function readLocal(binding: string, opened: DatabaseSync | undefined): Promise<FoundDatabase> {
  const stateDir = path.resolve(root, process.env["GATEHOUSE_STATE"] ?? ".wrangler/state");
  openStateFolder(stateDir);
  const storage = await openStorage(configPath, stateDir);
  try {
    await migrateLocal(storage, configPath);
    const database = await storage.getD1Database(binding);
    const found = await readDatabase(database);
    const isEmpty = found.tables.length + found.leftOut.length === 0;
    if (!isEmpty) {
      if (opened !== undefined)
        print(
          `${binding} on this machine has tables already, so the file was not loaded again. To load it anew, delete ${stateDir}, which holds all local data, and run this again.`,
        );
      return found;
    }
    if (opened === undefined)
      throw new IntrospectProblem(`${binding} has no tables on this machine. ${remoteText(binding)}`);
    const { rows, leftOut } = await loadInto(database, opened).catch((error: unknown) => {
      throw new IntrospectProblem(
        `The file could not be loaded: ${error instanceof Error ? error.message : "no reason given"}`,
      );
    });
    print(`Loaded ${rows} rows into ${binding} on this machine.`);
    const loaded = await readDatabase(database);
    return { ...loaded, leftOut: [...loaded.leftOut, ...leftOut] };
  } finally {
    await storage.dispose();
  }
}

function openDump(file: string): DatabaseSync {
  if (!existsSync(file)) throw new IntrospectProblem(`There is no file ${file}.`);
  try {
    return openFile(file);
  } catch (error) {
    if (error instanceof RefusedFile)
      throw new IntrospectProblem(`${path.basename(file)} was not loaded: ${error.message}.`);
    throw new IntrospectProblem(
      `${path.basename(file)} is no database: ${error instanceof Error ? error.message : "it cannot be read"}.`,
    );
  }
}

function report(source: string, { tables, leftOut }: FoundDatabase, merged: Merged, isUpdate: boolean): void {
  const file = path.relative(root, sourceFile(root, source));
  const columns = Object.values(merged.tables).flatMap((table) => Object.values(table.columns));
  const marked = columns.filter(({ hidden }) => hidden === true).length;
  const lines = [
    `${file}: ${tables.length} tables with ${columns.length} columns, ${marked} of which stay hidden when their table is opened.`,
    ...leftOut.map(({ name, reason }) => `Left out: ${name} ${reason}`),
    ...(isUpdate
      ? [listed("New, and hidden", merged.added), listed("Gone from the database and from the file", merged.vanished)]
      : []),
    ...useCatalogue(),
    "",
    `Open what may be asked: remove "hidden": true from tables in ${file}, and from columns that you want to show.`,
    "Then: npm start, and sign in as owner@example.com.",
  ];
  printLines(lines.filter((line) => line !== undefined));
}

function listed(what: string, names: readonly string[]): string | undefined {
  return names.length === 0 ? undefined : `${what}: ${names.join(", ")}.`;
}

/** The policy file as it came with Gatehouse uses the catalogue; for another, says what to add. */
function useCatalogue(): readonly string[] {
  if (readFileSync(policyPath, "utf8").includes("catalogue.sources")) return [];
  return [
    `src/gatehouse.config.ts does not use what was read. Add: import * as catalogue from "./catalogue.ts"; and in defineGatehouse: sources: { ...catalogue.sources, … }, roles: { ...catalogue.roles, … }, members: [...catalogue.members, …].`,
  ];
}

await main().catch((error: unknown) => {
  if (error instanceof IntrospectProblem || error instanceof FileProblem) printFailure(error);
  else printDefect(error);
  process.exit(1);
});
