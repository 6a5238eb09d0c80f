// Which columns of a source come as tokens for somebody, so that every value in them needs one.
import type { Policy, Subject, TableDataset } from "./model.ts";

export interface TokenColumn {
  readonly dataset: TableDataset;
  readonly column: string;
  readonly domain: string;
}

/** Each once, in the order of the rules. */
export function tokenColumnsOf(
  { datasets, rules }: Pick<Policy, "datasets" | "rules">,
  source: string,
): readonly TokenColumn[] {
  const found = rules.flatMap(({ dataset: id, masks }) => {
    const dataset = datasets.find((candidate) => candidate.id === id);
    if (dataset?.kind !== "table" || dataset.source !== source) return [];
    return Object.entries(masks).flatMap(([column, mask]) =>
      mask.kind === "token" ? [{ dataset, column, domain: mask.domain }] : [],
    );
  });
  return [...new Map(found.map((one) => [`${one.dataset.id}.${one.column}`, one])).values()];
}

/** The domains of which some role of the subject shows tokens, also in saved queries alone. */
export function tokenDomainsFor({ rules }: Pick<Policy, "rules">, { roles }: Subject): ReadonlySet<string> {
  const masks = rules.flatMap((rule) => (roles.includes(rule.role) ? Object.values(rule.masks) : []));
  return new Set(masks.flatMap((mask) => (mask.kind === "token" ? [mask.domain] : [])));
}
