// The provenance of a result: which datasets its rows came from, directly or through other results, how they were read, and under
// which grants. A result may be used only while today's policy still allows every one of these reads.
import * as z from "zod";
import { covers, resolvesMaskingTokens } from "./grant-coverage.ts";
import { evaluate } from "../policy/evaluate.ts";
import type { Disclosure, Grant, Policy, SavedQuery, Subject } from "../policy/model.ts";
import {
  digestSavedQuery,
  withSavedQueryRoles,
  withoutSavedOnlyRoles,
  listSavedQueries,
} from "../policy/saved-query.ts";
import { grantSchema } from "../policy/policy-schema.ts";
import { listMaskingTokenDomains } from "../masking-tokens/masking-token-columns.ts";
import { listGrantingRules, isRowRestricted } from "../policy/guard-view.ts";
import type { VisibleTable } from "../read/source.ts";
import type { ReadLabels } from "../answers/column-labels.ts";
import type { KeyColumns } from "../answers/shown-keys.ts";

const names = z.array(z.string());

const readBySchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("free-form") }),
  z.strictObject({ kind: z.literal("saved"), query: z.string(), definition: z.string() }),
]);

/** The number of the forms in which masks show values. Results without a number have the forms of the version before numbers. */
const MASKED_FORMS = 1;
/** The masks whose forms were others before: a year was a number, and a range was text. */
const CHANGED_MASKS: ReadonlySet<Disclosure["kind"]> = new Set(["year", "month", "bucket", "round"]);

const provenanceSchema = z.object({
  lineage: z.array(
    z.strictObject({
      by: readBySchema,
      reads: z.array(z.strictObject({ dataset: z.string(), grants: z.array(grantSchema) })),
    }),
  ),
  rules: names,
  restricted: names,
  // Results of an earlier version lack it.
  columns: names.default([]),
  masked: names,
  untrusted: names,
  incomplete: names,
  // Results of an earlier version lack it.
  inexact: names.default([]),
  keys: z.array(z.strictObject({ dataset: z.string(), columns: names, complete: z.boolean() })).default([]),
});

const originSchema = provenanceSchema.extend({
  source: z.string(),
  sql: z.string(),
  read: z.number(),
  more: z.boolean(),
});

const storedOriginSchema = originSchema
  .extend({ maskedForms: z.literal(MASKED_FORMS).optional() })
  .refine(({ maskedForms, lineage }) => maskedForms === MASKED_FORMS || !showsChangedMask(lineage))
  .transform(({ maskedForms: _maskedForms, ...origin }) => origin);

function showsChangedMask(lineage: Provenance["lineage"]): boolean {
  const grants = lineage.flatMap(({ reads }) => reads.flatMap((read) => read.grants));
  return grants.some(({ columns }) => Object.values(columns).some(({ kind }) => CHANGED_MASKS.has(kind)));
}

/**
 * How rows were read: by a free-form read (SQL that the user wrote, or a fetched document), or by a saved query, which may also use
 * roles that apply only to saved queries. `definition` is the digest of the saved query's definition at the time of the read.
 */
type ReadBy =
  { readonly kind: "free-form" } | { readonly kind: "saved"; readonly query: string; readonly definition: string };

/** A read of the user's own choice. */
export const FREE_FORM: ReadBy = { kind: "free-form" };

/** Describes a read by a saved query in its current definition. */
export function buildSavedReadBy(query: SavedQuery): ReadBy {
  return { kind: "saved", query: query.name, definition: digestSavedQuery(query) };
}

/** One past read: how it was made, and which datasets it read under which grants. */
interface PastRead {
  readonly by: ReadBy;
  readonly reads: readonly { readonly dataset: string; readonly grants: readonly Grant[] }[];
}

/** The reads that rows came from, and the labels that an answer with these rows must carry. */
export interface Provenance {
  /** All reads behind the rows, including those behind the results that a query used. */
  readonly lineage: readonly PastRead[];
  /** The ids of all rules that decided, denying rules included: for the audit record only. */
  readonly rules: readonly string[];
  /** Datasets of which the user sees only the rows that their rules allow. */
  readonly restricted: readonly string[];
  /** The columns that were read for the rows, as `source.table.column`. Empty for documents. */
  readonly columns: readonly string[];
  /** Masked columns that the SQL reads, as `source.table.column:mask`. */
  readonly masked: readonly string[];
  /** Columns that the SQL reads and whose text outsiders write, as `source.table.column`. */
  readonly untrusted: readonly string[];
  /** Results that the rows were computed from and that lack rows, as `r1 has 10 of at least 11 rows`. */
  readonly incomplete: readonly string[];
  /** How exact the masked columns are that were compared, sorted or computed with, one sentence for each. */
  readonly inexact: readonly string[];
  /** Which columns of the rows show the keys of datasets whose keys are recorded. */
  readonly keys: readonly KeyColumns[];
}

/** The provenance of a stored result, with the source and SQL that produced it. */
export interface Origin extends Provenance {
  readonly source: string;
  readonly sql: string;
  /** Rows that were read; fewer may be stored. */
  readonly read: number;
  /** Whether the source had more rows. */
  readonly more: boolean;
}

/** Builds the provenance of a statement that reads tables under today's decisions. `labels` are those of the statement. */
export function buildProvenance(
  tables: readonly VisibleTable[],
  labels: ReadLabels,
  readBy: ReadBy,
): Omit<Provenance, "keys"> {
  return {
    lineage: [
      { by: readBy, reads: tables.map(({ dataset, decision }) => ({ dataset: dataset.id, grants: decision.grants })) },
    ],
    rules: tables.flatMap(({ decision }) => decision.rules),
    restricted: tables.filter(({ decision }) => isRowRestricted(decision)).map(({ dataset }) => dataset.id),
    columns: tables.flatMap(({ dataset }) =>
      [...(labels.reads.get(dataset.table) ?? [])].map((column) => `${dataset.id}.${column}`),
    ),
    masked: labels.all.masked,
    untrusted: labels.all.untrusted,
    incomplete: [],
    inexact: labels.inexact,
  };
}

/** Merges the provenance of all results that a statement reads. `labels` are those of the statement. */
export function uniteProvenance(provenances: readonly Provenance[], labels: ReadLabels): Omit<Provenance, "keys"> {
  const distinct = new Map(
    provenances.flatMap(({ lineage }) => lineage).map((provenance) => [JSON.stringify(provenance), provenance]),
  );
  const unite = (pickList: (provenance: Provenance) => readonly string[]): readonly string[] => [
    ...new Set(provenances.flatMap(pickList)),
  ];
  return {
    lineage: [...distinct.values()],
    rules: unite(({ rules }) => rules),
    restricted: unite(({ restricted }) => restricted),
    columns: unite(({ columns }) => columns),
    masked: labels.all.masked,
    untrusted: labels.all.untrusted,
    incomplete: unite(({ incomplete }) => incomplete),
    inexact: [...new Set([...unite(({ inexact }) => inexact), ...labels.inexact])],
  };
}

/** Lists the ids of the rules that granted the rows; unlike `rules`, an answer may show them. */
export function listLineageRules({ lineage }: Pick<Provenance, "lineage">): readonly string[] {
  return [...new Set(lineage.flatMap(({ reads }) => reads.flatMap(listGrantingRules)))];
}

/** Whether the subject could repeat every read of the lineage today, in the same way and with the same or broader grants. */
export function isCovered({ lineage }: Provenance, policy: Policy, subject: Subject): boolean {
  const domains = listMaskingTokenDomains(policy, subject);
  return lineage.every(({ by: readBy, reads }) => {
    const reader = resolveReader(readBy, policy, subject);
    return (
      reader !== undefined &&
      reads.every(({ dataset: id, grants }) => {
        const dataset = policy.datasets.find((candidate) => candidate.id === id);
        if (dataset === undefined) return false;
        const today = evaluate(policy, reader, dataset, "read");
        return today.allowed && covers(today, grants) && !resolvesMaskingTokens(today, grants, domains);
      })
    );
  });
}

/**
 * Resolves the subject with the roles that apply to a read of this kind today. Undefined if the subject may no longer run the saved
 * query, or if its definition has changed: an operator who narrows a saved query also means its earlier results.
 */
function resolveReader(readBy: ReadBy, policy: Policy, subject: Subject): Subject | undefined {
  if (readBy.kind === "free-form") return withoutSavedOnlyRoles(policy, subject);
  const query = listSavedQueries(policy, subject).find(({ name }) => name === readBy.query);
  return query !== undefined && digestSavedQuery(query) === readBy.definition
    ? withSavedQueryRoles(policy, subject, query)
    : undefined;
}

/**
 * Returns the key columns of an origin under today's policy. A result that was stored before the policy asked for the keys of a dataset may
 * show any of its rows.
 */
export function listOriginKeys({ lineage, keys }: Provenance, policy: Policy): readonly KeyColumns[] {
  const read = new Set(lineage.flatMap(({ reads }) => reads.map(({ dataset }) => dataset)));
  return policy.datasets.flatMap((dataset) => {
    if (dataset.kind !== "table" || !dataset.recordKeys || !read.has(dataset.id)) return [];
    const known = keys.filter((key) => key.dataset === dataset.id);
    return known.length === 0 ? [{ dataset: dataset.id, columns: [], complete: false }] : known;
  });
}

/** Formats an origin to be stored with its result. */
export function formatOrigin(origin: Origin): string {
  return JSON.stringify({ ...origin, maskedForms: MASKED_FORMS });
}

/**
 * Parses a stored origin. Undefined if this version does not know its format, such as one from before `by` was stored: nothing then
 * says under which grants its rows were read. Also undefined if its masked values have other forms than those of today: a query would
 * compare a number with a date, and coverage compares today's forms.
 */
export function parseOrigin(text: string): Origin | undefined {
  const parsed = storedOriginSchema.safeParse(parseJson(text));
  return parsed.success ? parsed.data : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Text that is not JSON has an unknown format.
    return undefined;
  }
}
