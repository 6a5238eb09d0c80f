// Generates random SELECTs that SQLite accepts and whose result depends on the rows alone: no clock, no randomness, and no order that the
// statement does not fully specify. The same seed generates the same statements.

/** Creates a generator of numbers from 0 to below 1 (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface Column {
  readonly name: string;
  readonly type: "number" | "text";
}

interface Relation {
  readonly from: string;
  readonly columns: readonly Column[];
}

const column = (name: string, type: Column["type"]): Column => ({ name, type });

/** The tables as the user sees them. */
export const TABLES: Readonly<Record<string, readonly Column[]>> = {
  people: [
    column("id", "number"),
    column("name", "text"),
    column("region", "text"),
    column("email", "text"),
    column("born", "text"),
  ],
  visits: [
    column("id", "number"),
    column("person_id", "number"),
    column("page", "text"),
    column("seconds", "number"),
    column("day", "text"),
  ],
};

const WORDS = [
  "north",
  "south",
  "east",
  "/home",
  "/cart",
  "Ann",
  "Bob",
  "a",
  "",
  "[redacted]",
  "2020-01-02",
  "1990-01-01",
];

/** Builds a condition over a text, which fails for some values and holds for others. */
export type Oracle = (text: string) => string;

/** Generates a statement. With oracles, some of its conditions may fail while they run. */
export function generateSelect(random: () => number, oracles: readonly Oracle[] = []): string {
  let names = 0;
  const below = (count: number): number => Math.floor(random() * count);
  const pick = <T>(list: readonly T[]): T => {
    const item = list[below(list.length)];
    if (item === undefined) throw new RangeError("nothing to pick from");
    return item;
  };
  const chance = (share: number): boolean => random() < share;
  const newName = (): string => `n${(names += 1)}`;

  const literal = (type: Column["type"]): string =>
    type === "number" ? String(below(40) - 5) : `'${pick(WORDS).replaceAll("'", "''")}'`;

  function reference(columns: readonly Column[], type: Column["type"]): string {
    const fitting = columns.filter((candidate) => candidate.type === type);
    return fitting.length === 0 ? literal(type) : pick(fitting).name;
  }

  function number(columns: readonly Column[], depth: number): string {
    if (depth <= 0) return chance(0.7) ? reference(columns, "number") : literal("number");
    const a = (): string => number(columns, depth - 1);
    const t = (): string => text(columns, depth - 1);
    return pick([
      () => `(${a()} ${pick(["+", "-", "*", "%", "&", "|"])} ${a()})`,
      () => `abs(${a()})`,
      () => `length(${t()})`,
      () => `coalesce(${a()}, ${a()})`,
      () => `CASE WHEN ${condition(columns, depth - 1)} THEN ${a()} ELSE ${a()} END`,
      () => `instr(${t()}, ${t()})`,
      () => `max(${a()}, ${a()})`,
      () => `(${condition(columns, depth - 1)})`,
      () => `(SELECT count(*) FROM ${scan(depth - 1).from})`,
      () => correlated(columns, depth - 1),
    ])();
  }

  function text(columns: readonly Column[], depth: number): string {
    if (depth <= 0) return chance(0.7) ? reference(columns, "text") : literal("text");
    const t = (): string => text(columns, depth - 1);
    return pick([
      () => `(${t()} || ${t()})`,
      () => `upper(${t()})`,
      () => `substr(${t()}, ${1 + below(3)}, ${1 + below(4)})`,
      () => `coalesce(${t()}, ${t()})`,
      () => `nullif(${t()}, ${t()})`,
      () => `replace(${t()}, ${literal("text")}, 'x')`,
      () => `CAST(${number(columns, depth - 1)} AS TEXT)`,
      () => `iif(${condition(columns, depth - 1)}, ${t()}, ${t()})`,
      () => `json_extract(json_array(${t()}), '$[0]')`,
    ])();
  }

  function condition(columns: readonly Column[], depth: number): string {
    if (oracles.length > 0 && chance(0.3)) return pick(oracles)(reference(columns, "text"));
    const type = pick(["number", "text"] as const);
    const value = (): string => (type === "number" ? number : text)(columns, depth - 1);
    return pick([
      () => `${value()} ${pick(["=", "<>", "<", "<=", ">", ">=", "IS", "IS NOT"])} ${value()}`,
      () => `${value()} BETWEEN ${value()} AND ${value()}`,
      () => `${value()} IN (${value()}, ${value()}, ${literal(type)})`,
      () => `${value()} IS ${pick(["", "NOT "])}NULL`,
      () => `${text(columns, depth - 1)} LIKE '%${pick(["a", "o", "n", "/", "1"])}%'`,
      () => `(${condition(columns, depth - 1)} ${pick(["AND", "OR"])} ${condition(columns, depth - 1)})`,
      () => `NOT (${condition(columns, depth - 1)})`,
      () => {
        const inner = scan(depth - 1);
        return `EXISTS (SELECT 1 FROM ${inner.from} WHERE ${condition([...inner.columns, ...columns], Math.min(1, depth - 1))})`;
      },
      () => {
        const inner = scan(depth - 1);
        return `${value()} ${pick(["", "NOT "])}IN (SELECT ${reference(inner.columns, type)} FROM ${inner.from})`;
      },
    ])();
  }

  function correlated(columns: readonly Column[], depth: number): string {
    const inner = scan(depth);
    const aggregate = pick([
      "count(*)",
      `max(${reference(inner.columns, "number")})`,
      `sum(${reference(inner.columns, "number")})`,
    ]);
    return `(SELECT ${aggregate} FROM ${inner.from} WHERE ${reference(inner.columns, "number")} = ${reference(columns, "number")})`;
  }

  /** A table under a new alias, or a query in its place. */
  function scan(depth: number): Relation {
    const alias = newName();
    const inner = depth > 1 && chance(0.3) ? query(depth - 1) : undefined;
    const table = pick(Object.keys(TABLES));
    const columns = inner?.columns ?? TABLES[table] ?? [];
    return {
      from: `${inner === undefined ? table : `(${inner.from})`} AS ${alias}`,
      columns: columns.map(({ name, type }) => column(`${alias}.${name}`, type)),
    };
  }

  function joined(depth: number): Relation {
    const left = scan(depth);
    if (!chance(0.4)) return left;
    const right = scan(depth);
    const columns = [...left.columns, ...right.columns];
    const equality = `${reference(left.columns, "number")} = ${reference(right.columns, "number")}`;
    const on = chance(0.3) ? `${equality} AND ${filter(columns)}` : equality;
    const join = pick(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "FULL OUTER JOIN"]);
    const two = { from: `${left.from} ${join} ${right.from} ON ${on}`, columns };
    if (!chance(0.2)) return two;
    const third = scan(1);
    const kind = pick(["JOIN", "LEFT JOIN", "FULL JOIN"]);
    return {
      from: `${two.from} ${kind} ${third.from} ON ${reference(columns, "number")} = ${reference(third.columns, "number")}`,
      columns: [...columns, ...third.columns],
    };
  }

  /** A condition that many pairs of rows meet. */
  function filter(columns: readonly Column[]): string {
    const type = pick(["number", "text"] as const);
    return pick([
      () => `${reference(columns, type)} ${pick(["=", "<", "IS", "IS NOT"])} ${reference(columns, type)}`,
      () => `(${reference(columns, type)} > ${literal(type)} OR ${reference(columns, "text")} IS NULL)`,
      () => `coalesce(${reference(columns, "text")}, 'a') < ${reference(columns, "text")}`,
    ])();
  }

  function named(expressions: readonly { readonly sql: string; readonly type: Column["type"] }[]): {
    readonly list: string;
    readonly columns: readonly Column[];
  } {
    const columns = expressions.map(({ type }) => column(newName(), type));
    return { list: expressions.map(({ sql }, index) => `${sql} AS ${columns[index]?.name}`).join(", "), columns };
  }

  function grouped(source: Relation, where: string, depth: number): Relation {
    const key = text(source.columns, 1);
    const value = (): string => number(source.columns, Math.min(1, depth));
    const { list, columns } = named([
      { sql: key, type: "text" },
      {
        sql: pick([`count(*)`, `count(DISTINCT ${value()})`, `sum(${value()})`, `max(${value()})`, `min(${value()})`]),
        type: "number",
      },
      { sql: `group_concat(${text(source.columns, 0)}, ',' ORDER BY ${text(source.columns, 0)})`, type: "text" },
    ]);
    // Equal sort keys leave the order of the concatenation open, but not its length.
    const stable = list.replace(/group_concat\((.*)\) AS (\w+)$/, "length(group_concat($1)) AS $2");
    const having = chance(0.3) ? ` HAVING count(*) > ${below(3)}` : "";
    return { from: `SELECT ${stable} FROM ${source.from}${where} GROUP BY ${key}${having}`, columns };
  }

  function windowed(source: Relation, where: string): Relation {
    const n = (): string => reference(source.columns, "number");
    const { list, columns } = named([
      { sql: n(), type: "number" },
      { sql: `rank() OVER (PARTITION BY ${reference(source.columns, "text")} ORDER BY ${n()})`, type: "number" },
      { sql: `sum(${n()}) OVER (ORDER BY ${n()} RANGE UNBOUNDED PRECEDING)`, type: "number" },
      { sql: `count(*) OVER (PARTITION BY ${n()})`, type: "number" },
    ]);
    return { from: `SELECT ${list} FROM ${source.from}${where}`, columns };
  }

  function plain(source: Relation, where: string, depth: number): Relation {
    const { list, columns } = named([
      { sql: number(source.columns, depth), type: "number" },
      { sql: text(source.columns, depth), type: "text" },
      { sql: reference(source.columns, "text"), type: "text" },
    ]);
    return { from: `SELECT ${chance(0.2) ? "DISTINCT " : ""}${list} FROM ${source.from}${where}`, columns };
  }

  /** All columns of one or two tables, without their names. */
  function starred(): Relation {
    const [left, right] = [scan(1), scan(1)];
    const joinedColumns = [...left.columns, ...right.columns];
    const on = `${reference(left.columns, "number")} = ${reference(right.columns, "number")}`;
    const join = pick(["LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
    const stars = pick(["*", `${left.from.split(" AS ")[1]}.*, *`, `${right.from.split(" AS ")[1]}.*`]);
    return {
      from: `SELECT ${stars} FROM ${left.from} ${join} ${right.from} ON ${on} WHERE ${filter(joinedColumns)}`,
      columns: [],
    };
  }

  function query(depth: number): Relation {
    const source = joined(depth - 1);
    const where = chance(0.6) ? ` WHERE ${condition(source.columns, Math.min(2, depth))}` : "";
    const kind = random();
    if (kind < 0.25) return grouped(source, where, depth);
    if (kind < 0.4) return windowed(source, where);
    const select = plain(source, where, Math.min(2, depth));
    if (kind > 0.85) {
      const operand = plain(scan(1), "", 1);
      return {
        from: `${select.from} ${pick(["UNION", "UNION ALL", "EXCEPT", "INTERSECT"])} ${operand.from}`,
        columns: select.columns,
      };
    }
    return select;
  }

  if (chance(0.05)) return starred().from;
  const outermost = query(3);
  const order = outermost.columns.map((_column, index) => index + 1).join(", ");
  const limited = chance(0.3) ? `${outermost.from} ORDER BY ${order} LIMIT ${1 + below(20)}` : outermost.from;
  if (!chance(0.25)) return limited;
  const name = newName();
  return `WITH ${name} AS ${pick(["", "MATERIALIZED ", "NOT MATERIALIZED "])}(${limited}) SELECT * FROM ${name}`;
}
