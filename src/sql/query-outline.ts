// Outlines the queries of a statement from its lexer tokens in one pass, without a parser: what each SELECT reads, groups and limits. The
// work estimate uses it to bound the rows of subqueries, so where the tokens are ambiguous, an estimate changes and nothing else.
import { CLAUSES_AFTER_FROM, QUERY_WORDS, SET_OPERATORS, isName, isOperator, isWord } from "./clauses.ts";
import type { TokenRange } from "./clauses.ts";
import { AGGREGATE_FUNCTIONS } from "./functions.ts";
import { foldName } from "./identifier.ts";
import type { LexerToken } from "./lexer.ts";
import { pairParentheses } from "./parentheses.ts";
import type { Parentheses } from "./parentheses.ts";

/** A query: the statement, the query of a WITH name, a subquery in FROM, or a subquery in an expression. */
export interface OutlinedQuery {
  readonly kind: "statement" | "cte" | "source" | "value";
  /** The folded name by which a WITH clause or an alias calls it; empty if it has none. */
  name: string;
  /** The folded names that a WITH clause gives its columns; empty if it gives none. */
  readonly columns: readonly string[];
  readonly range: TokenRange;
  /** Whether it is inside a subquery in an expression, and so may be correlated. */
  readonly isInsideValue: boolean;
  /** The SELECTs and VALUES that it combines. */
  readonly terms: QueryTerm[];
  /** What follows ORDER BY, and LIMIT; undefined without one. */
  order: TokenRange | undefined;
  limit: TokenRange | undefined;
  readonly scope: Scope | undefined;
}

/** One SELECT or VALUES of a query. */
export interface QueryTerm {
  /** Rows of VALUES; undefined for a SELECT. */
  valueRows: number | undefined;
  isDistinct: boolean;
  /** Whether it calls an aggregate function. Without GROUP BY it then returns one row. */
  isAggregate: boolean;
  hasWindow: boolean;
  /** Whether a clause after the select list contains a subquery. */
  hasLaterSubquery: boolean;
  readonly items: TokenRange[];
  /** The places of the items that contain a subquery. */
  readonly subqueryItems: Set<number>;
  readonly sources: OutlinedSource[];
  readonly groupKeys: TokenRange[];
}

/** What a FROM clause reads. */
export interface OutlinedSource {
  /** The folded name of a table or function; empty for a subquery. */
  readonly name: string;
  /** The folded name by which the query calls it. */
  exposedName: string;
  /** The query of a subquery, or of the WITH name; undefined for a table or a function. */
  readonly query: OutlinedQuery | undefined;
  /** The arguments of a function; undefined for everything else. */
  readonly arguments: TokenRange | undefined;
}

/** All queries of a statement, the statement itself first. */
export interface QueryOutline {
  readonly tokens: readonly LexerToken[];
  readonly parentheses: Parentheses;
  readonly queries: readonly OutlinedQuery[];
}

interface Scope {
  readonly outer: Scope | undefined;
  readonly queries: Map<string, OutlinedQuery>;
}

type Section = "with" | "list" | "from" | "group" | "order" | "limit" | "values" | "other";

/** An open parenthesis, or the whole statement. */
interface Frame {
  /** The query that the parenthesis encloses, or the one around it. */
  readonly query: OutlinedQuery;
  readonly isQuery: boolean;
  /** Whether a join is in parentheses, whose sources belong to the query around it. */
  readonly isJoin: boolean;
  /** The folded name before the parenthesis; empty if it is no call. */
  readonly called: string;
  hasComma: boolean;
  section: Section;
  /** Where the current item, key or limit begins. */
  start: number;
  expectsSource: boolean;
  /** The WITH name that is being defined, and its columns. */
  cteName: string;
  cteColumns: readonly string[];
}

/** Words that can follow a source in a FROM clause and are no alias. */
const AFTER_SOURCE = new Set([
  ...CLAUSES_AFTER_FROM,
  ...SET_OPERATORS,
  ..."join left right full inner outer cross natural on using indexed not as".split(" "),
]);

/** Outlines the queries of a statement. */
export function outlineQueries(tokens: readonly LexerToken[]): QueryOutline {
  const parentheses = pairParentheses(tokens);
  const reader = new OutlineReader(tokens, parentheses);
  return { tokens, parentheses, queries: reader.read() };
}

class OutlineReader {
  readonly #tokens: readonly LexerToken[];
  readonly #parentheses: Parentheses;
  readonly #queries: OutlinedQuery[] = [];
  readonly #frames: Frame[] = [];
  #scope: Scope | undefined;
  #valueDepth = 0;

  constructor(tokens: readonly LexerToken[], parentheses: Parentheses) {
    this.#tokens = tokens;
    this.#parentheses = parentheses;
  }

  read(): readonly OutlinedQuery[] {
    this.#openQuery("statement", "", [], { start: 0, end: this.#tokens.length });
    for (let index = 0; index < this.#tokens.length; index += 1) {
      const token = this.#tokens[index];
      if (isOperator(token, "(")) this.#openParenthesis(index);
      else if (isOperator(token, ")")) this.#closeParenthesis(index);
      else this.#readToken(index);
    }
    while (this.#frames.length > 0) this.#closeFrame(this.#tokens.length);
    return this.#queries;
  }

  #openQuery(kind: OutlinedQuery["kind"], name: string, columns: readonly string[], range: TokenRange): OutlinedQuery {
    const isInsideValue = this.#valueDepth > 0 || kind === "value";
    const query: OutlinedQuery = {
      kind,
      name,
      columns,
      range,
      isInsideValue,
      terms: [],
      order: undefined,
      limit: undefined,
      scope: this.#scope,
    };
    this.#queries.push(query);
    if (kind === "cte") this.#scope?.queries.set(name, query);
    if (kind === "value") this.#valueDepth += 1;
    this.#frames.push(createFrame(query, { isQuery: true, isJoin: false, called: "", start: range.start }));
    return query;
  }

  #openParenthesis(index: number): void {
    const frame = this.#frames.at(-1);
    if (frame === undefined) return;
    const { section, query } = frame;
    const inside = { start: index + 1, end: this.#parentheses.findClosing(index) };
    const isSource = section === "from" && frame.expectsSource;
    const called = this.#tokens[index - 1];
    if (isWord(this.#tokens[index + 1], ...QUERY_WORDS)) {
      if (section === "with") this.#openQuery("cte", frame.cteName, frame.cteColumns, inside);
      else if (isSource) {
        frame.expectsSource = false;
        const source = this.#openQuery("source", "", [], inside);
        addSource(query, { name: "", exposedName: "", query: source, arguments: undefined });
      } else {
        const term = query.terms.at(-1);
        if (section === "list") term?.subqueryItems.add(term.items.length);
        else if (term !== undefined) term.hasLaterSubquery = true;
        this.#openQuery("value", "", [], inside);
      }
      return;
    }
    if (section === "with" && isName(called)) frame.cteColumns = this.#readNames(inside);
    const term = query.terms.at(-1);
    if (section === "values" && frame.isQuery && term !== undefined) term.valueRows = (term.valueRows ?? 0) + 1;
    this.#frames.push({
      ...createFrame(query, {
        isQuery: false,
        isJoin: isSource,
        called: isName(called) && called.kind === "word" ? foldName(called.value) : "",
        start: index + 1,
      }),
      section: isSource ? "from" : section === "list" ? "list" : "other",
      expectsSource: isSource,
    });
  }

  #readNames({ start, end }: TokenRange): readonly string[] {
    return this.#tokens.slice(start, end).flatMap((token) => (isName(token) ? [foldName(token.value)] : []));
  }

  #closeParenthesis(index: number): void {
    const frame = this.#frames.at(-1);
    if (frame === undefined || this.#frames.length === 1) return;
    this.#closeFrame(index);
    const outer = this.#frames.at(-1);
    if (outer === undefined) return;
    if (frame.isQuery) {
      if (frame.query.kind === "source") this.#nameSource(outer, this.#readAlias(index + 1), frame.query);
    } else this.#readCall(frame, index);
    if (frame.isQuery && frame.query.kind === "cte") [outer.cteName, outer.cteColumns] = ["", []];
  }

  #closeFrame(index: number): void {
    const frame = this.#frames.pop();
    if (frame === undefined || !frame.isQuery) return;
    endSection(frame, index);
    if (frame.query.kind === "value") this.#valueDepth -= 1;
    this.#scope = frame.query.scope;
  }

  /** Notes what a call that ends here is: an aggregate, or a window function. */
  #readCall({ called, hasComma, query, section }: Frame, close: number): void {
    const term = query.terms.at(-1);
    if (term === undefined || called === "" || section === "from") return;
    const hasFilter = isWord(this.#tokens[close + 1], "filter");
    const end = hasFilter ? this.#parentheses.findClosing(close + 2) + 1 : close + 1;
    if (isWord(this.#tokens[end], "over")) term.hasWindow = true;
    else if (AGGREGATE_FUNCTIONS.has(called) && !(hasComma && (called === "min" || called === "max")))
      term.isAggregate = true;
  }

  #readToken(index: number): void {
    const frame = this.#frames.at(-1);
    const token = this.#tokens[index];
    if (frame === undefined || token === undefined) return;
    if (isOperator(token, ",")) this.#readComma(frame, index);
    else if (frame.isQuery && this.#readClause(frame, token, index)) return;
    else if (frame.section === "from") this.#readInFrom(frame, token, index);
    else if (frame.section === "with" && frame.cteName === "" && isName(token) && !isWord(token, "recursive", "as"))
      frame.cteName = foldName(token.value);
  }

  #readComma(frame: Frame, index: number): void {
    frame.hasComma = true;
    if (frame.section === "from") frame.expectsSource = true;
    else if (frame.isQuery && (frame.section === "list" || frame.section === "group")) {
      const section = frame.section;
      endSection(frame, index);
      frame.section = section;
      frame.start = index + 1;
    }
  }

  /** Reads a word that begins a clause; returns false if this is none. */
  #readClause(frame: Frame, token: LexerToken, index: number): boolean {
    if (token.kind !== "word") return false;
    const { query } = frame;
    const word = foldName(token.value);
    const isTable = frame.section === "from" && frame.expectsSource;
    if (isTable || (word === "from" && isWord(this.#tokens[index - 1], "distinct"))) return false;
    const section = SECTIONS.get(word);
    if (section === undefined) return false;
    if (section === "with" && index !== query.range.start) return false;
    // `WITHIN GROUP (…)` begins no clause.
    if (section === "group" && !isWord(this.#tokens[index + 1], "by")) return false;
    endSection(frame, index);
    frame.section = section;
    frame.start = index + 1;
    if (section === "with") this.#scope = { outer: this.#scope, queries: new Map() };
    if (section === "list" || section === "values") query.terms.push(createTerm());
    if (section === "list") this.#readDistinct(frame, index + 1);
    if (section === "group") frame.start = index + 2;
    if (section === "from") frame.expectsSource = true;
    return true;
  }

  #readDistinct(frame: Frame, index: number): void {
    const term = frame.query.terms.at(-1);
    if (term === undefined || !isWord(this.#tokens[index], "distinct", "all")) return;
    term.isDistinct = isWord(this.#tokens[index], "distinct");
    frame.start = index + 1;
  }

  #readInFrom(frame: Frame, token: LexerToken, index: number): void {
    if (isWord(token, "join")) frame.expectsSource = true;
    else if (frame.expectsSource && isName(token) && !isOperator(this.#tokens[index + 1], ".")) {
      frame.expectsSource = false;
      const name = foldName(token.value);
      const isFunction = isOperator(this.#tokens[index + 1], "(");
      const close = isFunction ? this.#parentheses.findClosing(index + 1) : index;
      addSource(frame.query, {
        name,
        exposedName: this.#readAlias(close + 1) ?? name,
        query: isFunction ? undefined : resolve(name, this.#scope),
        arguments: isFunction ? { start: index + 2, end: close } : undefined,
      });
    }
  }

  #readAlias(index: number): string | undefined {
    const token = isWord(this.#tokens[index], "as") ? this.#tokens[index + 1] : this.#tokens[index];
    if (!isName(token) || (token.kind === "word" && AFTER_SOURCE.has(foldName(token.value)))) return undefined;
    return foldName(token.value);
  }

  #nameSource({ query }: Frame, alias: string | undefined, subquery: OutlinedQuery): void {
    const source = query.terms.at(-1)?.sources.findLast((candidate) => candidate.query === subquery);
    if (source === undefined || alias === undefined) return;
    source.exposedName = alias;
    subquery.name = alias;
  }
}

const SECTIONS: ReadonlyMap<string, Section> = new Map<string, Section>([
  ["with", "with"],
  ["select", "list"],
  ["values", "values"],
  ["from", "from"],
  ["group", "group"],
  ["order", "order"],
  ["limit", "limit"],
  ...["where", "having", "window", ...SET_OPERATORS].map((word) => [word, "other"] as const),
]);

function createFrame(query: OutlinedQuery, parts: Pick<Frame, "isQuery" | "isJoin" | "called" | "start">): Frame {
  return {
    query,
    ...parts,
    hasComma: false,
    section: "other",
    expectsSource: false,
    cteName: "",
    cteColumns: [],
  };
}

function createTerm(): QueryTerm {
  return {
    valueRows: undefined,
    isDistinct: false,
    isAggregate: false,
    hasWindow: false,
    hasLaterSubquery: false,
    items: [],
    subqueryItems: new Set(),
    sources: [],
    groupKeys: [],
  };
}

/** Ends the item, key or clause that the frame is in. */
function endSection({ query, section, start }: Frame, end: number): void {
  const term = query.terms.at(-1);
  if (section === "limit") query.limit = { start, end };
  else if (section === "order") query.order = { start, end };
  else if (section === "list") term?.items.push({ start, end });
  else if (section === "group") term?.groupKeys.push({ start, end });
}

function addSource({ terms }: OutlinedQuery, source: OutlinedSource): void {
  terms.at(-1)?.sources.push(source);
}

function resolve(name: string, scope: Scope | undefined): OutlinedQuery | undefined {
  for (let at = scope; at !== undefined; at = at.outer) {
    const query = at.queries.get(name);
    if (query !== undefined) return query;
  }
  return undefined;
}
