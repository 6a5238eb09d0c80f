// `gatehouse remove <source>`: takes an introspected source out again, with its declaration, its binding and its local data. A run that
// fails changes nothing.
import { readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { unstable_readConfig } from "wrangler";
import type { Policy } from "../../src/policy/model.ts";
import { quoteIdentifier } from "../../src/sql/identifier.ts";
import { suggestName } from "../../src/sql/suggest.ts";
import { CliError } from "../kit/cli-error.ts";
import type { Output } from "../kit/output.ts";
import { findRunningPid, openStorage } from "../local-server/local.ts";
import { loadOwnConfig } from "../project/policy-file.ts";
import { hasLocalState, stateFolder } from "../project/state-folder.ts";
import { root, runTool } from "../project/tools.ts";
import { removeDatabase, replaceFile, restoreOnFailure } from "./configuration.ts";
import {
  SCHEMA_FOLDER,
  leaveSourceOut,
  listSources,
  listWrittenFiles,
  readSourceFile,
  roleOf,
  sourceFile,
} from "./files.ts";

const configPath = path.join(root, "wrangler.jsonc");
const typesFile = path.join(root, "worker-configuration.d.ts");

/** A database as the configuration declares it. */
interface DeclaredDatabase {
  readonly binding: string;
  readonly database_name?: string;
  readonly database_id?: string;
}

/** Removes a source. Throws `CliError` without confirmation, for a source that is not introspected, and while something needs it. */
export async function removeSource(source: string, isConfirmed: boolean): Promise<Output> {
  const declared = listSources(root).includes(source) ? readSourceFile(root, source) : undefined;
  if (declared === undefined) throw await createUnknownError(source);
  const { binding } = declared;
  const file = `${SCHEMA_FOLDER}/${source}.json`;
  if (!isConfirmed)
    throw new CliError(
      `This deletes ${file}, and, if no other source has ${binding}, its entry in wrangler.jsonc and its data on this machine.`,
      { hint: `To remove it: npm run gatehouse -- remove ${source} --yes` },
    );
  requireStopped();
  return restoreOnFailure([configPath, typesFile, ...listWrittenFiles(root, source)], async () => {
    await leaveSourceOut(root, source);
    const policy = await loadPolicyWithout(source);
    // A source that is declared by hand may have the same binding.
    const isShared = policy.sources.some((other) => other.binding === binding);
    const database = isShared ? undefined : findDatabase(binding);
    const droppedTables = database === undefined ? [] : await deleteData(binding);
    if (database !== undefined) await removeBinding(binding);
    // The declaration goes last: while it is there, a command that was killed can run again.
    rmSync(sourceFile(root, source));
    return report({ source, file, binding, database, droppedTables });
  });
}

async function createUnknownError(source: string): Promise<CliError> {
  const { policy } = await loadOwnConfig();
  if (policy.sources.some(({ name }) => name === source))
    return new CliError(`${source} is declared by hand in src/gatehouse.config.ts, so this command leaves it.`, {
      hint: "Remove its entry there, with the rules that name it, and its binding in wrangler.jsonc.",
    });
  const names = listSources(root);
  const suggestion = suggestName(source, names);
  return new CliError(`There is no introspected source ${source}.`, {
    hint: suggestion === undefined ? `There are: ${names.join(", ") || "none"}.` : `Did you mean ${suggestion}?`,
  });
}

function findDatabase(binding: string): DeclaredDatabase | undefined {
  const databases: readonly DeclaredDatabase[] = unstable_readConfig({ config: configPath }).d1_databases;
  return databases.find((database) => database.binding === binding);
}

function requireStopped(): void {
  const pid = hasLocalState() ? findRunningPid(stateFolder()) : undefined;
  if (pid !== undefined)
    throw new CliError(`npm start uses this state in process ${pid}.`, {
      hint: "Stop it, then run this command again.",
    });
}

async function removeBinding(binding: string): Promise<void> {
  replaceFile(configPath, removeDatabase(readFileSync(configPath, "utf8"), binding));
  await runTool("wrangler", ["types", "--include-runtime=false", "--strict-vars=false"]);
}

/** Loads the policy, which is to do without the source. Throws `CliError` with the places in the policy file that need it. */
async function loadPolicyWithout(source: string): Promise<Policy> {
  try {
    const { policy } = await loadOwnConfig();
    return policy;
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    throw new CliError(`The policy file needs ${source}, so nothing was removed. Without it:\n${error.message}`, {
      hint: `Remove in src/gatehouse.config.ts what names ${source} or its role ${roleOf(source)}, then run this command again.`,
      cause: error,
    });
  }
}

/** Drops everything that a local database holds. Returns the names of its tables. */
async function deleteData(binding: string): Promise<readonly string[]> {
  if (!hasLocalState()) return [];
  const storage = await openStorage(configPath, stateFolder());
  try {
    return await dropAll(await storage.getD1Database(binding));
  } finally {
    await storage.dispose();
  }
}

async function dropAll(database: D1Database): Promise<readonly string[]> {
  const { results } = await database
    .prepare(
      "SELECT type, name, sql FROM sqlite_schema WHERE type IN ('table', 'view') " +
        "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\'",
    )
    .all<{ readonly type: "table" | "view"; readonly name: string; readonly sql: string }>();
  // Views may read tables, and a virtual table drops its own tables.
  const rank = ({ type, sql }: (typeof results)[number]): number =>
    type === "view" ? 0 : /^CREATE\s+VIRTUAL\b/i.test(sql) ? 1 : 2;
  const objects = results.toReversed().toSorted((one, other) => rank(one) - rank(other));
  const drops = objects.map(({ type, name }) => `DROP ${type} IF EXISTS ${quoteIdentifier(name)}`);
  if (drops.length > 0)
    await database.batch(["PRAGMA defer_foreign_keys = on", ...drops].map((sql) => database.prepare(sql)));
  return results.flatMap(({ type, name }) => (type === "table" && !name.startsWith("_gatehouse_") ? [name] : []));
}

interface Removed {
  readonly source: string;
  readonly file: string;
  readonly binding: string;
  readonly database: DeclaredDatabase | undefined;
  readonly droppedTables: readonly string[];
}

function report({ source, file, binding, database, droppedTables }: Removed): Output {
  const { database_name: name = "", database_id: id = "" } = database ?? {};
  const deployed = id === "" || id.startsWith("local-") ? null : { name, id };
  return {
    lines: [
      `${source} was removed: ${file} and its lines in ${SCHEMA_FOLDER}.ts.`,
      ...(database === undefined ? [] : [`wrangler.jsonc: removed the database ${binding}.`]),
      ...(droppedTables.length === 0
        ? []
        : [`Deleted ${droppedTables.length} local tables: ${droppedTables.join(", ")}.`]),
      `The role ${roleOf(source)} is gone. Members who have it in the members table lose what it gave.`,
      ...(deployed === null
        ? []
        : [
            `The deployed database ${deployed.name} (${deployed.id}) stays with its data. The next deployment no longer reads it.`,
            `To delete it with its data: npx wrangler d1 delete ${deployed.name}`,
          ]),
    ],
    data: { source, binding, file, bindingRemoved: database !== undefined, droppedTables, deployed },
  };
}
