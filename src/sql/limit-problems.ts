// Messages about SQLite's limits on the form of a statement, which are those of D1: which limit it is, its number, and how to stay below.
import { MAX_COMPOUND_TERMS } from "./compound-nesting.ts";

/** SQLite's message about each limit, and ours. */
export const LIMIT_MESSAGE_PATTERNS: readonly (readonly [RegExp, string])[] = [
  [
    /^too many terms in compound SELECT/,
    [
      `UNION, EXCEPT and INTERSECT combine at most ${MAX_COMPOUND_TERMS} SELECTs here.`,
      "Nest them: SELECT * FROM (a UNION ALL b …) UNION ALL SELECT * FROM (…).",
    ].join(" "),
  ],
  [
    /^too many terms in (?:ORDER|GROUP) BY/,
    "ORDER BY and GROUP BY take at most 100 terms each. Group in a subquery by the key alone, and join the other columns to it.",
  ],
  [
    /^too many columns/,
    "The result or a part of the query has more than 100 columns. Select fewer, or read them in two queries.",
  ],
  [
    /^Expression tree is too large/,
    [
      "An expression is nested more than 100 levels deep; each OR, AND, + or || of a chain is a level.",
      "Write x IN (…) for a chain of OR, x IN (SELECT value FROM json_each(?)) for a long list, and a WITH query for nested subqueries.",
    ].join(" "),
  ],
  [
    /^too many arguments on function/,
    "A function takes at most 32 arguments. Nest calls, such as max(max(a, …), b), or join json_object() values with json_patch(a, b).",
  ],
  [
    /^(?:at most \d+ tables in a join|too many FROM clause terms)/,
    "One SELECT joins at most 64 tables. Join some of them in a WITH query first.",
  ],
  [
    /^(?:too many (?:levels|references)|.*too large|parser stack overflow|statement too long)/,
    "The SQL is too large or too deeply nested. Split it.",
  ],
];
