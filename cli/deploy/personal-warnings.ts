// Warns about columns that look personal and that a role sees in clear.
import { existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import type { Policy } from "../../src/policy/model.ts";
import { quoteIdentifier } from "../../src/sql/identifier.ts";
import { personalReason } from "../introspection/personal.ts";
import { roleView } from "../policy-report/words.ts";

/** Reads sampled values of a column as text. */
export type SampleColumn = (source: string, table: string, column: string) => readonly string[];

const SAMPLE_ROWS = 200;
const SAMPLE_LENGTH = 200;

/** Lists the columns that look personal and that a role sees in clear, each with what it looks like. */
export function listPersonalWarnings(policy: Policy, sample: SampleColumn): readonly string[] {
  return policy.datasets.flatMap((dataset) => {
    if (dataset.kind !== "table") return [];
    const views = policy.roles.map(({ name }) => ({ name, view: roleView(policy, name, dataset.id) }));
    return dataset.columns.flatMap(({ name: column }) => {
      const readers = views.flatMap(({ name, view }) =>
        view.kind === "rows" && view.columns.get(column)?.kind === "clear" ? [name] : [],
      );
      if (readers.length === 0) return [];
      const reason = personalReason(dataset.table, column, sample(dataset.source, dataset.table, column));
      return reason === undefined
        ? []
        : [
            `${dataset.id}.${column} looks like ${reason}, and ${readers.join(", ")} reads it in clear. Mask or hide it, or leave it so.`,
          ];
    });
  });
}

/** Samples the local databases, by source, of this machine. A source without one gives no values, and only names are judged. */
export function openSamples(files: ReadonlyMap<string, string>): {
  readonly sample: SampleColumn;
  readonly close: () => void;
} {
  const databases = new Map(
    [...files]
      .filter(([, file]) => existsSync(file))
      .map(([source, file]) => [source, new DatabaseSync(file, { readOnly: true, timeout: 10_000 })]),
  );
  return {
    sample: (source, table, column) => {
      const database = databases.get(source);
      const has = database?.prepare("SELECT 1 FROM pragma_table_xinfo(?) WHERE name = ?").get(table, column);
      if (database === undefined || has === undefined) return [];
      const name = quoteIdentifier(column);
      const text = `substr(CAST(${name} AS TEXT), 1, ${SAMPLE_LENGTH})`;
      const from = `FROM ${quoteIdentifier(table)} WHERE typeof(${name}) NOT IN ('null', 'blob') LIMIT ${SAMPLE_ROWS}`;
      return database
        .prepare(`SELECT ${text} AS value ${from}`)
        .all()
        .map(({ value }) => String(value));
    },
    close: () => databases.forEach((database) => database.close()),
  };
}
