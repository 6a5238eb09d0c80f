// Finds how a user's FROM clauses call what a plan reads. SQLite merges most WITH queries and subqueries into the query around them, and
// the plan then names their tables. It reads lexer tokens and serves only messages.
import type { OutlinedQuery, OutlinedSource, QueryOutline } from "./query-outline.ts";

/** How often a source can stand for a name: its own name, those of the tables and WITH queries that it reads, and so on. */
type ReadCounts = ReadonlyMap<string, number>;

/** The source that each name belongs to; undefined where none fits. */
type Assignment = readonly (OutlinedSource | undefined)[];

/** A WITH query can read another twice, which reads another twice, and so on. */
const MAX_COUNT = 64;

/** Names what a plan reads. All names are folded. */
export interface SourceNames {
  /** Names what one SELECT joins. */
  nameJoined(names: readonly string[]): readonly string[];
  /** Names what one SELECT reads. `innermost` prefers a SELECT inside others, such as a subquery. */
  nameRead(names: readonly string[], preference: "outermost" | "innermost"): readonly string[];
}

/** Creates the names of one statement. */
export function createSourceNames({ queries }: QueryOutline): SourceNames {
  const countReads = createReadCounter();
  const lists = queries.flatMap(({ terms }) => terms.map(({ sources }) => sources));

  /** Assigns the names in the SELECT that fits most of them; among these, in the one that joins most sources. */
  const assignBest = (names: readonly string[], candidates: typeof lists): Assignment =>
    candidates
      .map((sources) => assign(names, sources, countReads))
      .reduce((best, assignment) => (rank(assignment) > rank(best) ? assignment : best), []);

  return {
    nameJoined(names) {
      const assignment = assignBest(names, lists);
      return mayJoinInside(assignment) ? names : nameAll(names, assignment);
    },
    nameRead: (names, preference) =>
      nameAll(names, assignBest(names, preference === "outermost" ? lists : lists.toReversed())),
  };
}

/** Whether the join that takes long may be inside one of the sources, which reads several of the names. */
function mayJoinInside(assignment: Assignment): boolean {
  const sources = new Set(assignment);
  const isSelfJoin = sources.size > 1 && new Set([...sources].map((source) => source?.query)).size === 1;
  return sources.size < assignment.length && !isSelfJoin;
}

function nameAll(names: readonly string[], assignment: Assignment): readonly string[] {
  return names.map((name, place) => {
    const source = assignment[place];
    return source?.query === undefined || source.exposedName === "" ? name : nameSource(source);
  });
}

/** A WITH query is called by its name, which aliases may hide; a subquery by its alias. */
function nameSource({ name, exposedName }: OutlinedSource): string {
  return name === "" ? exposedName : name;
}

function assign(
  names: readonly string[],
  sources: readonly OutlinedSource[],
  countReads: (source: OutlinedSource) => ReadCounts,
): Assignment {
  const used = new Map<OutlinedSource, string[]>();
  return names.map((name) => {
    const fitting = sources.filter((source) => {
      const taken = used.get(source)?.filter((other) => other === name).length ?? 0;
      return taken < (countReads(source).get(name) ?? 0);
    });
    const source = fitting.find((candidate) => !used.has(candidate)) ?? fitting[0];
    if (source !== undefined) used.set(source, [...(used.get(source) ?? []), name]);
    return source;
  });
}

function rank(assignment: Assignment): number {
  const assigned = assignment.filter((source) => source !== undefined);
  return assigned.length + new Set(assigned).size / (assigned.length + 1);
}

function createReadCounter(): (source: OutlinedSource) => ReadCounts {
  /** The counts of each query that was read; none while it is read, for a query that reads itself. */
  const countsByQuery = new Map<OutlinedQuery, ReadCounts>();
  const countQuery = (query: OutlinedQuery): ReadCounts => {
    const known = countsByQuery.get(query);
    if (known !== undefined) return known;
    countsByQuery.set(query, new Map());
    const counts = new Map<string, number>();
    for (const source of query.terms.flatMap(({ sources }) => sources))
      for (const [name, count] of countSource(source))
        counts.set(name, Math.min((counts.get(name) ?? 0) + count, MAX_COUNT));
    countsByQuery.set(query, counts);
    return counts;
  };
  const countSource = (source: OutlinedSource): ReadCounts => {
    const own = [source.name, source.exposedName].filter((name) => name !== "").map((name) => [name, 1] as const);
    return new Map([...(source.query === undefined ? [] : countQuery(source.query)), ...own]);
  };
  return countSource;
}
