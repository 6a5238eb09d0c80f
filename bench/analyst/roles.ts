// The roles of the analyst benchmark: what the policy grants each one, which database gives its direct answer, and which bar it has.

/** The roles in the order in which the benchmark runs them. */
export const ROLES = ["owner", "ruled", "masked"] as const;

export type Role = (typeof ROLES)[number];

/** The values of `region` that the rules of both restricted roles show: half of the customers, orders and events. */
export const VISIBLE_REGIONS = ["north", "east"] as const;
/** The values of `branch_id` that the rules of both restricted roles show: a quarter of the work orders. */
export const VISIBLE_BRANCHES = [1, 2, 3] as const;

/** The domain of the masking tokens of `account`. */
export const ACCOUNT_DOMAIN = "account";
/** The key of the masking tokens. It protects nothing: the benchmark generates its data. */
export const MASKING_TOKEN_KEY = "a key of the benchmark, long enough to be one";

/** What a governed query may take, compared with the direct one. */
interface Bar {
  readonly title: string;
  /** The binding of the database that answers the same SQL directly. */
  readonly directBinding: "SHOP_DB" | "VISIBLE_DB" | "MASKED_DB";
  readonly directTitle: string;
  readonly maxRatio: number;
  readonly maxAddedMs: number;
  /** The share of queries that must meet the bar. */
  readonly minShare: number;
}

export const BARS: Readonly<Record<Role, Bar>> = {
  owner: {
    title: "Owner",
    directBinding: "SHOP_DB",
    directTitle: "the same database",
    maxRatio: 1.3,
    maxAddedMs: 5,
    minShare: 0.95,
  },
  ruled: {
    title: "Ruled",
    directBinding: "VISIBLE_DB",
    directTitle: "tables of the visible rows with the same indexes",
    maxRatio: 3,
    maxAddedMs: 10,
    minShare: 0.95,
  },
  masked: {
    title: "Ruled and masked",
    directBinding: "MASKED_DB",
    directTitle: "pre-masked tables of the visible rows, without indexes on masked columns",
    maxRatio: 3,
    maxAddedMs: 10,
    minShare: 0.9,
  },
};
