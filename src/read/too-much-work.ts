// Says why a query is refused as too much work: its costliest part, by the names that the user wrote, and a rewrite that helps. It names no
// number: sizes would reveal how many rows a row rule hides.
import { AppError } from "../errors.ts";
import { isOperator } from "../sql/clauses.ts";
import { foldName } from "../sql/identifier.ts";
import { outlineQueries } from "../sql/query-outline.ts";
import { createSourceNames } from "../sql/source-names.ts";
import type { GuardView } from "../sql/statement-guard.ts";
import type { Statement } from "../sql/statement.ts";
import type { ExpensivePart } from "../sql/work-estimate.ts";

/** What the message names. */
interface RefusedQuery {
  readonly statement: Statement;
  readonly usedViews: readonly GuardView[];
}

/** Creates the refusal of a query for its costliest part. */
export function createTooMuchWorkError(part: ExpensivePart | undefined, query: RefusedQuery): AppError {
  const explanation = part === undefined ? "Filter first." : explain(part, query);
  return new AppError("query_refused", `The query would take too much work. ${explanation}`);
}

function explain(part: ExpensivePart, query: RefusedQuery): string {
  switch (part.kind) {
    case "frame":
      return [
        "A window frame with EXCLUDE, or a window function that builds text, reads its whole frame",
        "again for each row: make the frame smaller, remove EXCLUDE, or filter first.",
      ].join(" ");
    case "full join":
      return [
        `The expensive part is a FULL JOIN of ${joinNames(nameJoined(part, query))},`,
        "which compares every row of one side with every row of the other.",
        "Write it as a LEFT JOIN, UNION ALL the rows of the right side for which NOT EXISTS finds no match, or group both sides first.",
      ].join(" ");
    case "correlated subquery":
      return [...explainSubquery(part, query), ...listMaskHints(part, query)].join(" ");
    case "join":
      return [...explainJoin(nameJoined(part, query), query), ...listMaskHints(part, query)].join(" ");
    case "scan":
      return `The expensive part reads all rows of ${joinNames(listUserNames(part, query))}. Filter it first.`;
  }
}

function explainSubquery({ outer, inner }: ExpensivePart, query: RefusedQuery): readonly string[] {
  const sources = createSourceNames(outlineQueries(query.statement.tokens));
  const innerNames = findUserNames(sources.nameRead(findFoldedNames(inner, query), "innermost"), query);
  const outerNames = findUserNames(sources.nameRead(findFoldedNames(outer, query), "outermost"), query);
  return [
    `The expensive part is ${innerNames.length === 0 ? "a subquery" : `the subquery over ${joinNames(innerNames)}`},`,
    `which runs again for each row of ${outerNames.length === 0 ? "the query" : joinNames(outerNames)}.`,
    "Compute its values for all rows once, in a WITH query with GROUP BY, and join that, or filter the outer query first.",
  ];
}

function explainJoin(names: readonly string[], query: RefusedQuery): readonly string[] {
  const joined = joinNames(names);
  // Advice about columns would confuse where the query compares none.
  const hasCondition = query.statement.tokens.some((token) =>
    isOperator(token, "=", "==", "<", "<=", ">", ">=", "<>", "!="),
  );
  const advice = hasCondition
    ? `Join ${joined} on equal columns, or filter or group them in a WITH query first.`
    : `Connect ${joined} by a condition, or group or limit them in a WITH query first.`;
  return [
    `The expensive part is a join of ${joined} that compares every row of one with every row of the other.`,
    advice,
  ];
}

/** Masks of a joined table keep SQLite from using its indexes. */
function listMaskHints(part: ExpensivePart, query: RefusedQuery): readonly string[] {
  const names = listUserNames(part, query);
  const masked = query.usedViews.filter((view) => view.isMasked && names.includes(view.name)).map(({ name }) => name);
  if (masked.length === 0) return [];
  return [`Masked columns of ${joinNames(masked)} have no index: prefer others.`];
}

/** Names what a join joins: a WITH query or subquery if SQLite has merged one into the query around it, and otherwise tables. */
function nameJoined({ outer, inner }: ExpensivePart, query: RefusedQuery): readonly string[] {
  const sources = createSourceNames(outlineQueries(query.statement.tokens));
  const names = sources.nameJoined(findFoldedNames([...outer, ...inner], query));
  return sortByText(findUserNames(names, query), query);
}

/** Lists the names in the plan as the user wrote them. */
function listUserNames({ outer, inner }: ExpensivePart, query: RefusedQuery): readonly string[] {
  return sortByText(findUserNames([...outer, ...inner], query), query);
}

function findUserNames(names: readonly string[], query: RefusedQuery): readonly string[] {
  return names.flatMap((name) => findUserName(name, query));
}

function findFoldedNames(names: readonly string[], query: RefusedQuery): readonly string[] {
  return findUserNames(names, query).map((name) => foldName(name));
}

/** Stands for a subquery without a name. */
const A_SUBQUERY = "a subquery";

/** Finds the name that the user wrote for a name in a plan. The subquery of a guard view has a name that only Gatehouse knows. */
function findUserName(name: string, { statement, usedViews }: RefusedQuery): readonly string[] {
  const guard = /^guard_.+_(\d+)$/.exec(name)?.[1];
  const view =
    guard === undefined ? usedViews.find((candidate) => foldName(candidate.name) === name) : usedViews[Number(guard)];
  if (view !== undefined) return [view.name];
  if (name.startsWith("(") || name === A_SUBQUERY) return [A_SUBQUERY];
  const written = statement.names.get(name);
  return written === undefined ? [] : [written];
}

/** Sorts names as they occur in the text. The order of the plan depends on sizes. */
function sortByText(names: readonly string[], { statement }: RefusedQuery): readonly string[] {
  const places = new Map([...statement.names.keys()].map((name, place) => [name, place]));
  const findPlace = (name: string): number => places.get(foldName(name)) ?? places.size;
  return names.toSorted((left, right) => findPlace(left) - findPlace(right));
}

/** `a`, `a with itself`, or `a, b and c`. */
function joinNames(names: readonly string[]): string {
  const distinct = [...new Set(names)];
  const last = distinct.at(-1) ?? "the tables";
  if (distinct.length < 2) return names.length > 1 ? `${last} with itself` : last;
  return `${distinct.slice(0, -1).join(", ")} and ${last}`;
}
