// Finds columns that some role sees in clear although they look personal, by their names and, where the local database is loaded, by a
// sample of its values. No value leaves this module.
import type { Column, Policy, TableDataset } from "../../src/policy/model.ts";
import { listSources, readSourceFile } from "../introspection/files.ts";
import { personalReason } from "../introspection/personal.ts";
import { sampleValues } from "../introspection/schema.ts";
import { printAside } from "../kit/terminal.ts";
import { openStorage } from "../local-server/local.ts";
import { hasLocalState, stateFolder } from "../project/state-folder.ts";
import { roleView } from "./words.ts";

/** A column that looks personal, with the roles that see it in clear. */
export interface PersonalColumn {
  readonly dataset: string;
  readonly column: string;
  /** Such as "an email address". */
  readonly looksLike: string;
  readonly roles: readonly string[];
}

/** Sampled values by `source.table.column`. */
export type Samples = ReadonlyMap<string, readonly string[]>;

/** What introspection took columns for, by `source.table.column`. It has seen their values, and what views compute them from. */
export type PersonalGuesses = ReadonlyMap<string, string>;

/** Reads what introspection took the columns of its declarations for. */
export function readPersonalGuesses(folder: string): PersonalGuesses {
  const guesses = new Map<string, string>();
  for (const source of listSources(folder))
    for (const [table, { columns }] of Object.entries(readSourceFile(folder, source)?.tables ?? {}))
      for (const [column, { guess }] of Object.entries(columns))
        if (guess?.personal !== undefined) guesses.set(`${source}.${table}.${column}`, guess.personal);
  return guesses;
}

/** Lists the columns in the order of the policy. `personal: false` in the declaration ends a column's warning; `true` asks for it. */
export function listPersonalColumns(
  policy: Policy,
  samples: Samples,
  guesses: PersonalGuesses = new Map(),
): readonly PersonalColumn[] {
  return listTables(policy).flatMap((dataset) =>
    dataset.columns.flatMap((column): PersonalColumn[] => {
      const roles = listClearRoles(policy, dataset, column.name);
      const looksLike = roles.length === 0 ? undefined : findLooks(dataset, column, samples, guesses);
      return looksLike === undefined ? [] : [{ dataset: dataset.id, column: column.name, looksLike, roles }];
    }),
  );
}

function findLooks(
  { id, table }: TableDataset,
  { name, type, personal }: Column,
  samples: Samples,
  guesses: PersonalGuesses,
): string | undefined {
  if (personal === false) return undefined;
  const values = samples.get(`${id}.${name}`) ?? [];
  return (
    personalReason({ table, column: name, values, type }) ??
    guesses.get(`${id}.${name}`) ??
    (personal === true ? "personal, as its declaration says" : undefined)
  );
}

/** Warns of the rules about changes that set personal columns, in the order of the policy. */
export function warnOfPersonalChanges(
  policy: Policy,
  samples: Samples,
  guesses: PersonalGuesses = new Map(),
): readonly string[] {
  return policy.changeRules.flatMap((rule) => {
    const dataset = listTables(policy).find(({ id }) => id === rule.dataset);
    if (rule.effect === "deny" || dataset === undefined) return [];
    return dataset.columns.flatMap((column) => {
      const looksLike = Object.hasOwn(rule.columns, column.name)
        ? findLooks(dataset, column, samples, guesses)
        : undefined;
      if (looksLike === undefined) return [];
      return [
        `${rule.id}: sets ${column.name}, which ${claimLooks(looksLike)}. Leave it to people, or declare it with personal: false.`,
      ];
    });
  });
}

function claimLooks(looksLike: string): string {
  return looksLike.startsWith("personal") ? `is ${looksLike}` : `looks like ${looksLike}`;
}

function listTables({ datasets }: Policy): readonly TableDataset[] {
  return datasets.filter((dataset) => dataset.kind === "table");
}

function listClearRoles(policy: Policy, { id }: TableDataset, column: string): readonly string[] {
  return policy.roles.flatMap(({ name }) => {
    const view = roleView(policy, name, id);
    return view.kind === "rows" && view.columns.get(column)?.kind === "clear" ? [name] : [];
  });
}

/** Writes a finding as a warning. */
export function describePersonalColumn({ dataset, column, looksLike, roles }: PersonalColumn): string {
  const readers = `${roles.length === 1 ? "the role" : "the roles"} ${roles.join(", ")} ${roles.length === 1 ? "sees" : "see"}`;
  return `${dataset}.${column}: ${claimLooks(looksLike)}, and ${readers} it in clear. Mask or hide it, or declare it with personal: false.`;
}

/** Samples the tables that some role reads, from the local databases of a configuration. Without local state there are no samples. */
export async function sampleLocalData(policy: Policy, configPath: string, environment?: string): Promise<Samples> {
  const samples = new Map<string, readonly string[]>();
  if (!hasLocalState()) return samples;
  const storage = await openStorage(configPath, stateFolder(), { environment });
  try {
    for (const dataset of listTables(policy)) {
      const columns = dataset.columns.filter(({ name }) => listClearRoles(policy, dataset, name).length > 0);
      const binding = policy.sources.find(({ name }) => name === dataset.source)?.binding;
      if (columns.length === 0 || binding === undefined) continue;
      try {
        const database = await storage.getD1Database(binding);
        const names = columns.map(({ name }) => name);
        for (const [column, values] of await sampleValues(database, dataset.table, names))
          samples.set(`${dataset.id}.${column}`, values);
      } catch (error) {
        // The local database may lack a table or column that the policy declares; `npm start` reports that.
        const reason = error instanceof Error ? error.message : "it cannot be read";
        printAside(`The local values were not looked at: ${dataset.id}: ${reason}`);
      }
    }
  } finally {
    await storage.dispose();
  }
  return samples;
}
