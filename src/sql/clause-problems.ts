// The messages about clauses that SQLite does not take where or as they are written, each with what to write.

/** Patterns of SQLite's messages, and what the user gets. The first that matches counts. */
export const CLAUSE_MESSAGE_PATTERNS: readonly (readonly [RegExp, string])[] = [
  [/^HAVING clause on a non-aggregate query/, "HAVING needs GROUP BY or an aggregate. Filter rows with WHERE."],
  [
    /clause should come (?:after|before) /,
    "ORDER BY and LIMIT come after the last SELECT of a UNION. To sort or limit one part, write SELECT * FROM (SELECT … LIMIT 5).",
  ],
  [
    /^aggregate functions are not allowed in the GROUP BY clause/,
    "GROUP BY takes no aggregate. Group by its aggregate in an outer query: " +
      "SELECT n, count(*) FROM (SELECT sum(x) AS n FROM t GROUP BY y) GROUP BY n.",
  ],
  [/BY term out of range/, "ORDER BY or GROUP BY has the number of a column that the SELECT list does not have."],
  [
    /^\d+\w+ ORDER BY term does not match any column/,
    "After UNION, ORDER BY takes a column's number or its name in the first SELECT.",
  ],
  [
    /^a NATURAL join may not have an ON or USING clause$/,
    "NATURAL JOIN joins by all columns of the same name, so it takes no ON and no USING. Write JOIN with ON.",
  ],
  [/^unknown join type/, "There is no such kind of join. Write JOIN, LEFT JOIN, RIGHT JOIN, FULL JOIN or CROSS JOIN."],
  [
    /^DISTINCT is not supported for window functions$/,
    "A function with OVER takes no DISTINCT. Select DISTINCT in a subquery first.",
  ],
  [/^FILTER may not be used with /, "FILTER belongs to an aggregate function. Write CASE WHEN … THEN … END here."],
  [
    /^RANGE with offset /,
    "RANGE with an offset needs exactly one ORDER BY expression in OVER. Use one, or ROWS in place of RANGE.",
  ],
  [
    /^frame (?:starting|ending) offset must be /,
    "The offset of a window frame takes a number that is not negative; for ROWS and GROUPS a whole one.",
  ],
  [
    /ORDER BY|GROUP BY|HAVING|LIMIT|USING|JOIN|window|frame|DISTINCT/i,
    "A clause of the SQL cannot be used in that way.",
  ],
];
