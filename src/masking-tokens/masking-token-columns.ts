// Lists the columns of a source that some rule shows as masking tokens: every value in them needs a masking token.
import type { Policy, Subject, TableDataset } from "../policy/model.ts";

/** A column whose values need masking tokens. */
export interface MaskingTokenColumn {
  readonly dataset: TableDataset;
  readonly column: string;
  /** The name in the policy file: equal values of a domain have equal masking tokens. */
  readonly domain: string;
}

/** Lists each column once, in the order of the rules. */
export function listMaskingTokenColumns(
  { datasets, rules }: Pick<Policy, "datasets" | "rules">,
  source: string,
): readonly MaskingTokenColumn[] {
  const maskingTokenColumns = rules.flatMap(({ dataset: id, masks }) => {
    const dataset = datasets.find((candidate) => candidate.id === id);
    if (dataset?.kind !== "table" || dataset.source !== source) return [];
    return Object.entries(masks).flatMap(([column, mask]) =>
      mask.kind === "token" ? [{ dataset, column, domain: mask.domain }] : [],
    );
  });
  return [
    ...new Map(
      maskingTokenColumns.map((tokenColumn) => [`${tokenColumn.dataset.id}.${tokenColumn.column}`, tokenColumn]),
    ).values(),
  ];
}

/** Lists the domains whose masking tokens some role of the subject shows, including roles that count only in saved queries. */
export function listMaskingTokenDomains({ rules }: Pick<Policy, "rules">, { roles }: Subject): ReadonlySet<string> {
  const masks = rules.flatMap((rule) => (roles.includes(rule.role) ? Object.values(rule.masks) : []));
  return new Set(masks.flatMap((mask) => (mask.kind === "token" ? [mask.domain] : [])));
}
