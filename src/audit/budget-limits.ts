// The limits on what one owner may use, and how a user is told that one is reached or near.

/** What is counted. */
export const BUDGET_KINDS = ["rows", "bytes", "calls", "reveals"] as const;
export type BudgetKind = (typeof BUDGET_KINDS)[number];

/** What a call uses, or reserves. */
export type Usage = Readonly<Record<BudgetKind, number>>;

/** The most that one owner may use, by the names of the limits in the policy file. */
export interface BudgetLimits {
  readonly rowsPerDay: number;
  readonly bytesPerDay: number;
  readonly callsPerDay: number;
  readonly revealsPerDay: number;
  readonly rowsPerBurst: number;
  readonly bytesPerBurst: number;
  readonly callsPerBurst: number;
  readonly revealsPerBurst: number;
}

/** A limit with what was used of it. */
export interface BudgetState {
  readonly limit: keyof BudgetLimits;
  readonly used: number;
  readonly most: number;
  /** When the count begins again, in milliseconds since the epoch. */
  readonly resetMs: number;
}

const NOUNS = {
  rows: "rows",
  bytes: "bytes",
  calls: "calls",
  reveals: "exchanges of masking tokens for values",
} as const;

/** Describes the limit that a call would pass. */
export function describeSpentBudget({ limit, most, resetMs }: BudgetState): string {
  const { noun, window } = parseLimit(limit);
  const remedy = noun === NOUNS.rows ? "Ask for fewer rows with limit, or continue" : "Continue";
  return [
    `Your ${noun} are used up (${most} ${window}, shared with your personal access tokens).`,
    `${remedy} after ${new Date(resetMs).toISOString().slice(11, 16)} UTC.`,
  ].join(" ");
}

/** Describes the limits that are nearly reached, in one sentence. */
export function describeNearBudgets(budgets: readonly BudgetState[]): string {
  const parts = budgets.map(({ limit, used, most }) => {
    const { noun, window } = parseLimit(limit);
    return `${used} of ${most} ${noun} ${window}`;
  });
  return `Near a limit: the user has used ${parts.join(" and ")}.`;
}

function parseLimit(limit: BudgetState["limit"]): { readonly noun: string; readonly window: string } {
  const [kind] = limit.split("Per");
  const noun = Object.entries(NOUNS).find(([name]) => name === kind)?.[1] ?? limit;
  return { noun, window: limit.endsWith("Day") ? "per UTC day" : "in five minutes" };
}
