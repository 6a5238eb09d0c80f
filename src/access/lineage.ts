// Where a result came from, for itself and all it was made from: how each part was read and under which grants, and what is to be
// said of it. While the user could still read all of that in the same way, it may be used; when they no longer can, it is gone.
import * as z from "zod";
import { covers, resolvesTokens } from "../policy/coverage.ts";
import { evaluate } from "../policy/evaluate.ts";
import type { Grant, Policy, SavedQuery, Subject } from "../policy/model.ts";
import { definitionOf, forSaved, freely, savedFor } from "../policy/saved.ts";
import { grantSchema } from "../policy/schema.ts";
import { tokenDomainsFor } from "../policy/tokens.ts";
import { grantingRules, isRowRestricted, maskOf, visibleColumns } from "../policy/views.ts";
import { foldName } from "../sql/identifier.ts";
import type { Statement } from "../sql/statement.ts";
import type { OpenTable } from "../sources/source.ts";
import { untrustedIn } from "./untrusted.ts";

const names = z.array(z.string());

const readBySchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("free-form") }),
  z.strictObject({ kind: z.literal("saved"), query: z.string(), definition: z.string() }),
]);

const provenanceSchema = z.object({
  lineage: z.array(
    z.strictObject({
      by: readBySchema,
      reads: z.array(z.strictObject({ dataset: z.string(), grants: z.array(grantSchema) })),
    }),
  ),
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

/**
 * How rows were read: by SQL that the user wrote, or another read of their own choice, under the roles that count there; or by a
 * saved query, also under roles that count in it alone. `definition` is the digest of what the query said then.
 */
export type ReadBy =
  { readonly kind: "free-form" } | { readonly kind: "saved"; readonly query: string; readonly definition: string };

export const FREE_FORM: ReadBy = { kind: "free-form" };

export function readBySaved(query: SavedQuery): ReadBy {
  return { kind: "saved", query: query.name, definition: definitionOf(query) };
}

/** One read, and the datasets that it read with the grants of then. */
export interface PastRead {
  readonly by: ReadBy;
  readonly reads: readonly { readonly dataset: string; readonly grants: readonly Grant[] }[];
}

/** Under which grants rows were read, and what an answer with them says. */
export interface Provenance {
  /** Of what was made from results, the reads of all of them. */
  readonly lineage: readonly PastRead[];
  /** The rules that decided, by id, also those that denied: for the record. */
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
export function provenanceOf(tables: readonly OpenTable[], statement: Statement, by: ReadBy): Provenance {
  return {
    lineage: [{ by, reads: tables.map(({ dataset, decision }) => ({ dataset: dataset.id, grants: decision.grants })) }],
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

/** The rules that granted what was read, by id: for the user. */
export function grantingRulesOf({ lineage }: Pick<Provenance, "lineage">): readonly string[] {
  return [...new Set(lineage.flatMap(({ reads }) => reads.flatMap(grantingRules)))];
}

/** Whether the subject could read today, each part in the way in which it was read, all that the lineage was read under. */
export function isCovered({ lineage }: Provenance, policy: Policy, subject: Subject): boolean {
  const domains = tokenDomainsFor(policy, subject);
  return lineage.every(({ by, reads }) => {
    const reader = readerOf(by, policy, subject);
    return (
      reader !== undefined &&
      reads.every(({ dataset: id, grants }) => {
        const dataset = policy.datasets.find((candidate) => candidate.id === id);
        if (dataset === undefined) return false;
        const today = evaluate(policy, reader, dataset, "read");
        return today.allowed && covers(today, grants) && !resolvesTokens(today, grants, domains);
      })
    );
  });
}

/**
 * The subject as a read of this kind sees them today. Undefined when they may not run the saved query, or it says something else
 * by now: an operator who narrows a query means its earlier results, too.
 */
function readerOf(by: ReadBy, policy: Policy, subject: Subject): Subject | undefined {
  if (by.kind === "free-form") return freely(policy, subject);
  const query = savedFor(policy, subject).find(({ name }) => name === by.query);
  return query !== undefined && definitionOf(query) === by.definition ? forSaved(policy, subject, query) : undefined;
}

/**
 * Reads a stored origin. Undefined when it is of a form that this version does not know, such as one without how rows were read:
 * nothing says then what it may show.
 */
export function parseOrigin(text: string): Origin | undefined {
  const parsed = originSchema.safeParse(parseJson(text));
  return parsed.success ? parsed.data : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // What is not JSON is of no form that is known.
    return undefined;
  }
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
