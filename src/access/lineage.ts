// Where a result came from, for itself and all it was made from: under which grants, and what is to be said of it. While
// today's grants cover those, it may be used; when they no longer do, it is gone.
import * as z from "zod";
import { covers } from "../policy/coverage.ts";
import { evaluate } from "../policy/evaluate.ts";
import type { Grant, Policy, Subject } from "../policy/model.ts";
import { grantSchema } from "../policy/schema.ts";
import { isRowRestricted, maskOf, visibleColumns } from "../policy/views.ts";
import { foldName } from "../sql/identifier.ts";
import type { Statement } from "../sql/statement.ts";
import type { OpenTable } from "../sources/source.ts";
import { untrustedIn } from "./untrusted.ts";

const names = z.array(z.string());

const provenanceSchema = z.object({
  lineage: z.array(z.object({ dataset: z.string(), grants: z.array(grantSchema) })),
  rules: names,
  restricted: names,
  masked: names,
  untrusted: names,
  incomplete: names,
});

const originSchema = provenanceSchema.extend({
  source: z.string(),
  sql: z.string(),
  read: z.number(),
  more: z.boolean(),
});

/** Under which grants rows were read, and what an answer with them says. */
export interface Provenance {
  readonly lineage: readonly { readonly dataset: string; readonly grants: readonly Grant[] }[];
  /** The rules that decided, by id. */
  readonly rules: readonly string[];
  /** Datasets of which the person sees only the rows that their rules allow. */
  readonly restricted: readonly string[];
  /** Masked columns in reach of the SQL, as `source.table.column:mask`. */
  readonly masked: readonly string[];
  /** Columns in reach of the SQL whose text outsiders write, as `source.table.column`. */
  readonly untrusted: readonly string[];
  /** Results that it was made from and that do not have all rows, as `r1 has 10 of at least 11 rows`. */
  readonly incomplete: readonly string[];
}

/** With what was asked of which source. */
export interface Origin extends Provenance {
  readonly source: string;
  readonly sql: string;
  /** Rows that were read; fewer may be kept. */
  readonly read: number;
  /** Whether there were more. */
  readonly more: boolean;
}

/** Of tables that a statement reads under today's decisions. */
export function provenanceOf(tables: readonly OpenTable[], statement: Statement): Provenance {
  return {
    lineage: tables.map(({ dataset, decision }) => ({ dataset: dataset.id, grants: decision.grants })),
    rules: tables.flatMap(({ decision }) => decision.rules),
    restricted: tables.filter(({ decision }) => isRowRestricted(decision)).map(({ dataset }) => dataset.id),
    masked: tables.flatMap((table) => maskedColumns(table, statement)),
    untrusted: tables.flatMap((table) => untrustedIn(table, statement)),
    incomplete: [],
  };
}

/** Of what is made from several results. */
export function uniteProvenance(all: readonly Provenance[]): Provenance {
  const distinct = new Map(all.flatMap(({ lineage }) => lineage).map((one) => [JSON.stringify(one), one]));
  const unite = (of: (one: Provenance) => readonly string[]): readonly string[] => [...new Set(all.flatMap(of))];
  return {
    lineage: [...distinct.values()],
    rules: unite(({ rules }) => rules),
    restricted: unite(({ restricted }) => restricted),
    masked: unite(({ masked }) => masked),
    untrusted: unite(({ untrusted }) => untrusted),
    incomplete: unite(({ incomplete }) => incomplete),
  };
}

/** Whether the subject could read today all that the lineage was read under. */
export function isCovered({ lineage }: Provenance, policy: Policy, subject: Subject): boolean {
  return lineage.every(({ dataset: id, grants }) => {
    const dataset = policy.datasets.find((candidate) => candidate.id === id);
    if (dataset === undefined) return false;
    const today = evaluate(policy, subject, dataset, "read");
    return today.allowed && covers(today, grants);
  });
}

/** Reads a stored origin. Undefined when it is of a form that this version does not know: nobody can tell then what it may show. */
export function parseOrigin(text: string): Origin | undefined {
  const parsed = originSchema.safeParse(JSON.parse(text));
  return parsed.success ? parsed.data : undefined;
}

/** Masked columns that the SQL names, or all of the table's when it selects with a star. */
function maskedColumns({ dataset, decision }: OpenTable, statement: Statement): readonly string[] {
  return visibleColumns(decision, dataset)
    .filter((column) => statement.selectsAll || statement.names.has(foldName(column.name)))
    .flatMap((column) => {
      const masked = maskOf(column);
      return masked === null ? [] : [`${dataset.id}.${column.name}:${masked}`];
    });
}
