// `gatehouse open <source.table[.column]> …`: removes `hidden` from introspected tables and columns, and says what becomes visible to whom.
import { quoteArgument } from "../kit/shell.ts";
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import type { Policy } from "../../src/policy/model.ts";
import { foldName } from "../../src/sql/identifier.ts";
import { suggestName } from "../../src/sql/suggest.ts";
import { CliError, usageError } from "../kit/cli-error.ts";
import type { Output } from "../kit/output.ts";
import { disclosureText, roleView, rowsText } from "../policy-report/words.ts";
import { loadOwnConfig } from "../project/policy-file.ts";
import { root } from "../project/tools.ts";
import { restoreOnFailure } from "./configuration.ts";
import { SCHEMA_FOLDER, listWrittenFiles, readSourceFile, writeSourceFile } from "./files.ts";
import type { ColumnInput, TableInput } from "./guess.ts";
import { personalReason } from "./personal.ts";

/** A table to open, or with `column` one of its columns. */
interface Target {
  readonly source: string;
  readonly table: string;
  readonly column?: string;
}

type SourceData = NonNullable<ReturnType<typeof readSourceFile>>;
type Sources = ReadonlyMap<string, SourceData>;

/**
 * Opens tables, views and columns. With `allButPersonal`, opens every table of the named sources, or of all, without the columns that
 * introspection keeps hidden, and no view. Throws `CliError` and changes nothing when a name is unknown.
 */
export async function openDatasets(names: readonly string[], allButPersonal: boolean): Promise<Output> {
  const sources = readSources();
  const all = allButPersonal ? listTables(sources, names) : names.map((name) => findTarget(sources, name));
  // A view can show in clear what a rule on its tables masks, so an operator opens it by its name.
  const isView = ({ source, table }: Target): boolean => sources.get(source)?.tables[table]?.view === true;
  const targets = all.filter((target) => !(allButPersonal && isView(target)));
  if (targets.length === 0) throw usageError(`Name what to open: ${listSome(listNames(sources)).join(", ")}.`);
  requireOpenTables(sources, targets);
  const changed = [...sources].flatMap(([source, data]) => {
    const own = targets.filter((target) => target.source === source);
    return own.length === 0 ? [] : [[source, openTargets(data, own, allButPersonal)] as const];
  });
  let policy: Policy | undefined;
  await restoreOnFailure(
    changed.flatMap(([source]) => listWrittenFiles(root, source)),
    async () => {
      for (const [source, data] of changed) await writeSourceFile(root, source, data);
      // A policy that does not start is not left behind.
      ({ policy } = await loadOwnConfig());
    },
  );
  const closedViews = all.filter(
    (target) => !targets.includes(target) && sources.get(target.source)?.tables[target.table]?.hidden === true,
  );
  return describeOpened(new Map(changed), targets, { policy, closedViews });
}

function readSources(): Sources {
  const folder = path.join(root, SCHEMA_FOLDER);
  const names = existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith(".json")) : [];
  if (names.length === 0)
    throw new CliError("No database is declared yet.", { hint: "Declare one: npm run introspect -- crm.sqlite" });
  return new Map(
    names.flatMap((file) => {
      const source = path.basename(file, ".json");
      const data = readSourceFile(root, source);
      return data === undefined ? [] : [[source, data]];
    }),
  );
}

function listTables(sources: Sources, names: readonly string[]): readonly Target[] {
  const unknown = names.find((name) => !sources.has(name));
  if (unknown !== undefined)
    throw new CliError(`There is no source ${unknown}. There are: ${[...sources.keys()].join(", ")}.`);
  return [...sources]
    .filter(([source]) => names.length === 0 || names.includes(source))
    .flatMap(([source, { tables }]) => Object.keys(tables).map((table) => ({ source, table })));
}

/** Finds what a name means. Names of tables and columns may contain dots; a table comes before a column of another one. */
function findTarget(sources: Sources, name: string): Target {
  for (const [source, { tables }] of sources) {
    if (!name.startsWith(`${source}.`)) continue;
    const rest = name.slice(source.length + 1);
    if (Object.hasOwn(tables, rest)) return { source, table: rest };
    for (const [table, { columns }] of Object.entries(tables)) {
      const column = rest.startsWith(`${table}.`) ? rest.slice(table.length + 1) : undefined;
      if (column !== undefined && Object.hasOwn(columns, column)) return { source, table, column };
    }
  }
  if (sources.has(name))
    throw new CliError(
      `${name} is a source. Name its tables, or open all: npm run gatehouse -- open ${name} --all-but-personal`,
    );
  const candidates = listNames(sources);
  const suggestions = suggestNames(name, candidates);
  const hint =
    suggestions.length === 0
      ? `There are: ${listSome(candidates).join(", ")}.`
      : `Did you mean ${listSome(suggestions).join(" or ")}?`;
  throw new CliError(`There is no table or column ${name}.`, { hint });
}

/** Suggests the names that end with a name without its source or table, or else the one that resembles it, with or without them. */
function suggestNames(name: string, candidates: readonly string[]): readonly string[] {
  const findEnding = (ending: string): readonly string[] =>
    candidates.filter((candidate) => foldName(candidate).endsWith(`.${foldName(ending)}`));
  const ended = findEnding(name);
  if (ended.length > 0) return ended;
  const whole = suggestName(name, candidates);
  if (whole !== undefined) return [whole];
  const part = suggestName(name, [...new Set(candidates.flatMap(listEndings))]);
  return part === undefined ? [] : findEnding(part);
}

/** Lists what follows each dot of a name. */
function listEndings(name: string): readonly string[] {
  const parts = name.split(".");
  return parts.slice(1).map((_part, index) => parts.slice(index + 1).join("."));
}

function listNames(sources: Sources): readonly string[] {
  return [...sources].flatMap(([source, { tables }]) =>
    Object.entries(tables).flatMap(([table, { columns }]) => [
      `${source}.${table}`,
      ...Object.keys(columns).map((column) => `${source}.${table}.${column}`),
    ]),
  );
}

const MAX_LISTED_NAMES = 8;

function listSome(names: readonly string[]): readonly string[] {
  return names.length <= MAX_LISTED_NAMES ? names : [...names.slice(0, MAX_LISTED_NAMES), "…"];
}

/** Refuses a column of a table that stays hidden: opening the table with it would show columns that were not named. */
function requireOpenTables(sources: Sources, targets: readonly Target[]): void {
  for (const { source, table, column } of targets) {
    const isHidden = sources.get(source)?.tables[table]?.hidden === true;
    const isNamed = targets.some(
      (target) => target.source === source && target.table === table && target.column === undefined,
    );
    if (column !== undefined && isHidden && !isNamed)
      throw new CliError(`The table ${source}.${table} is hidden, so its column would stay hidden.`, {
        hint: `Open both: npm run gatehouse -- open ${quoteArgument(`${source}.${table}`)} ${quoteArgument(`${source}.${table}.${column}`)}`,
      });
  }
}

function openTargets(data: SourceData, targets: readonly Target[], allButPersonal: boolean): SourceData {
  const tables = Object.entries(data.tables).map(([table, declared]): [string, TableInput] => {
    const own = targets.filter((target) => target.table === table);
    if (own.length === 0) return [table, declared];
    const isTable = own.some(({ column }) => column === undefined);
    const opened = isTable ? show(allButPersonal ? hidePersonal(table, declared) : declared) : declared;
    const columns = Object.entries(opened.columns).map(([name, column]): [string, ColumnInput] => [
      name,
      own.some((target) => target.column === name) ? show(column) : column,
    ]);
    return [table, { ...opened, columns: Object.fromEntries(columns) }];
  });
  return { ...data, tables: Object.fromEntries(tables) };
}

/** Hides the columns of a table that is still hidden which look personal by today's words, unless the operator says that they are not. */
function hidePersonal(table: string, declared: TableInput): TableInput {
  if (declared.hidden !== true) return declared;
  const columns = Object.entries(declared.columns).map(([name, column]): [string, ColumnInput] => {
    const isPersonal =
      column.personal ?? personalReason({ table, column: name, values: [], type: column.type }) !== undefined;
    return [name, isPersonal ? { hidden: true, ...column } : column];
  });
  return { ...declared, columns: Object.fromEntries(columns) };
}

function show<Declared extends { hidden?: boolean | undefined }>({ hidden: _hidden, ...rest }: Declared) {
  return rest;
}

/** What one role sees of a dataset. */
interface Reader {
  readonly role: string;
  /** The row rule in the form of SQL, or `all`. */
  readonly rows: string;
  /** The visible columns by name: `clear`, or the mask. */
  readonly columns: Readonly<Record<string, string>>;
}

/** What there is to say beside what was opened. */
interface OpenContext {
  readonly policy: Policy | undefined;
  /** Hidden views that `--all-but-personal` left out. */
  readonly closedViews: readonly Target[];
}

function describeOpened(sources: Sources, targets: readonly Target[], { policy, closedViews }: OpenContext): Output {
  const opened = Map.groupBy(targets, ({ source, table }) => `${source}.${table}`);
  const datasets = [...opened].map(([dataset, [target]]) => {
    const { columns = {}, view = false } = sources.get(target?.source ?? "")?.tables[target?.table ?? ""] ?? {};
    const hidden = Object.entries(columns).flatMap(([name, column]) => (column.hidden === true ? [name] : []));
    return { dataset, view, hidden, readers: policy === undefined ? [] : listReaders(policy, dataset) };
  });
  const views = closedViews.map(({ source, table }) => `${source}.${table}`);
  const lines = datasets.flatMap(({ dataset, view, hidden, readers }) => [
    `${dataset} is open.`,
    ...(view ? ["  It is a view: it shows what its SELECT shows, whatever rules the tables that it reads have."] : []),
    ...readers.map((reader) => `  The role ${reader.role} sees ${describeReader(reader)}.`),
    ...(readers.length === 0 ? ["  No role may read it: write a rule for it in src/gatehouse.config.ts."] : []),
    ...(hidden.length === 0 ? [] : [`  Still hidden: ${hidden.join(", ")}.`]),
  ]);
  const last = "A running npm start shows it after a restart. npm run policy -- check shows what each role sees.";
  const closed =
    views.length === 0
      ? []
      : [
          `Views stay hidden, because they can show what rules on their tables hide. Open them by name: ${views.map(quoteArgument).join(" ")}.`,
        ];
  return { lines: [...lines, ...closed, last], data: { datasets, closedViews: views } };
}

function describeReader({ rows, columns }: Reader): string {
  const names = Object.entries(columns).map(([name, shownAs]) => (shownAs === "clear" ? name : `${name} (${shownAs})`));
  return `${names.join(", ") || "no column"}${rows === "all" ? "" : ` of the rows where ${rows}`}`;
}

function listReaders(policy: Policy, dataset: string): readonly Reader[] {
  return policy.roles.flatMap(({ name }): Reader[] => {
    const view = roleView(policy, name, dataset);
    if (view.kind !== "rows") return [];
    const shown = [...view.columns].filter(([, disclosure]) => disclosure.kind !== "hidden");
    const columns = Object.fromEntries(shown.map(([column, disclosure]) => [column, disclosureText(disclosure)]));
    return [{ role: name, rows: rowsText(view.rows), columns }];
  });
}
