// Parses the sentences of a file of test cases, such as `role analyst sees shop.customers.email as email`. Names every mistake with its
// column, and the name that was probably meant.
import { APPROVALS, CHANGE_OPERATIONS } from "../../src/policy/change-model.ts";
import type { Approval } from "../../src/policy/change-model.ts";
import type { Attributes, Column, ColumnType, Policy, Scalar, TableDataset } from "../../src/policy/model.ts";
import { isTextual } from "../../src/policy/masks.ts";
import { suggestName } from "../../src/sql/suggest.ts";
import { OPERATORS } from "./case.ts";
import type { CaseCondition, CaseSubject, Claim, TestCase } from "./case.ts";

/** The right forms, for messages and the documentation. */
export const FORMS: readonly string[] = [
  "role analyst sees shop.customers.email as email",
  "role analyst sees shop.products.name in clear",
  "role analyst cannot see shop.customers.notes",
  "role support with region = north sees only rows of shop.customers where region = north",
  "role support with region = north sees no row of region south",
  "role analyst sees all rows of shop.orders",
  "role analyst sees 12 rows of shop.orders where status = 'lost at sea'",
  "role analyst sees some row of shop.orders where total_cents > 1000",
  "group data-team sees shop.orders",
  "member ana@example.com cannot see handbook",
  "role support may update status in shop.tickets",
  "role support may update status to done in shop.tickets with approval requester",
  "role support may not delete rows of shop.tickets",
  "role analyst may not change shop.tickets",
];

/** A mistake in a line. Columns begin with 1. */
export interface ParseProblem {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** A word, quoted text or sign of a line. */
interface Part {
  readonly text: string;
  readonly isQuoted: boolean;
  readonly column: number;
}

class Mistake extends Error {
  readonly column: number;

  constructor(message: string, column: number) {
    super(message);
    this.column = column;
  }
}

/** Parses a file. Empty lines and lines that begin with # are no cases. */
export function parseCases(
  text: string,
  policy: Policy,
): { readonly cases: readonly TestCase[]; readonly problems: readonly ParseProblem[] } {
  const cases: TestCase[] = [];
  const problems: ParseProblem[] = [];
  for (const [index, content] of text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .entries()) {
    const sentence = content.trim();
    if (sentence === "" || sentence.startsWith("#")) continue;
    const line = index + 1;
    try {
      cases.push({ line, text: sentence, ...new SentenceParser(splitLine(content), policy).parse() });
    } catch (error) {
      if (!(error instanceof Mistake)) throw error;
      problems.push({ line, column: error.column, message: error.message });
    }
  }
  return { cases, problems };
}

function splitLine(line: string): readonly Part[] {
  const parts: Part[] = [];
  const pattern =
    /\s*(?:'((?:[^']|'')*)'|"((?:[^"]|"")*)"|(<=|>=|!=|<>|[=<>(),])|([^\s=<>!(),'"]+(?:\([^\s()]*\))?)|(\S))/gy;
  let match = pattern.exec(line);
  while (match !== null) {
    const [whole, single, double, sign, word, stray] = match;
    const column = match.index + whole.length - whole.trimStart().length + 1;
    if (stray !== undefined)
      throw new Mistake(`${stray} does not belong here. Text in quotes ends with the same quote.`, column);
    const quoted = single?.replaceAll("''", "'") ?? double?.replaceAll('""', '"');
    parts.push({ text: quoted ?? sign ?? word ?? "", isQuoted: quoted !== undefined, column });
    match = pattern.exec(line);
  }
  return parts;
}

class SentenceParser {
  readonly #parts: readonly Part[];
  readonly #policy: Policy;
  #next = 0;

  constructor(parts: readonly Part[], policy: Policy) {
    this.#parts = parts;
    this.#policy = policy;
  }

  parse(): { readonly subject: CaseSubject; readonly claim: Claim } {
    const subject = this.#parseSubject();
    const claim = this.#parseClaim();
    const rest = this.#peek();
    if (rest !== undefined)
      throw new Mistake(`${rest.text} does not belong here: the sentence is complete before it.`, rest.column);
    return { subject, claim };
  }

  #peek(): Part | undefined {
    return this.#parts[this.#next];
  }

  /** The column after the last part, for what is missing at the end. */
  #column(): number {
    const last = this.#parts.at(-1);
    return this.#peek()?.column ?? (last === undefined ? 1 : last.column + last.text.length);
  }

  #take(what: string): Part {
    const part = this.#peek();
    if (part === undefined) throw new Mistake(`the sentence ends where ${what} should be.`, this.#column());
    this.#next += 1;
    return part;
  }

  #isWord(...words: readonly string[]): boolean {
    const part = this.#peek();
    return part !== undefined && !part.isQuoted && words.includes(part.text);
  }

  /** Goes on if the next word is one of these. */
  #accept(...words: readonly string[]): boolean {
    const isNext = this.#isWord(...words);
    if (isNext) this.#next += 1;
    return isNext;
  }

  #expect(...words: readonly string[]): void {
    if (this.#accept(...words)) return;
    const found = this.#peek();
    const expected = words.join(" or ");
    throw new Mistake(
      found === undefined
        ? `the sentence ends where ${expected} should be.`
        : `${found.text} is here, where ${expected} should be.`,
      this.#column(),
    );
  }

  #parseSubject(): CaseSubject {
    const isNamedKind = this.#isWord("role", "group", "member");
    const kind = isNamedKind ? this.#take("a role").text : "";
    const name = this.#take("the name of a role, group or member");
    if (kind === "member" || (kind === "" && name.text.includes("@"))) return { kind: "member", email: name.text };
    const names =
      kind === "group" ? this.#policy.groups.map(({ group }) => group) : this.#policy.roles.map((role) => role.name);
    if (!names.includes(name.text)) throw unknownName(kind === "group" ? "group" : "role", name, names);
    const attributes = this.#accept("with") ? this.#parseAttributes() : {};
    return { kind: kind === "group" ? "group" : "role", name: name.text, attributes };
  }

  #parseAttributes(): Attributes {
    const attributes: Record<string, Scalar | readonly Scalar[]> = {};
    const known = ["id", "email", ...this.#policy.attributes];
    do {
      const name = this.#take("an attribute");
      if (!known.includes(name.text)) throw unknownName("attribute", name, known);
      this.#expect("=");
      attributes[name.text] = this.#accept("(") ? this.#parseList() : scalarOf(this.#take("a value"));
    } while (this.#accept(",", "and"));
    return attributes;
  }

  #parseList(): readonly Scalar[] {
    const values: Scalar[] = [];
    do values.push(scalarOf(this.#take("a value")));
    while (this.#accept(","));
    this.#expect(")");
    return values;
  }

  #parseClaim(): Claim {
    if (this.#accept("cannot")) {
      this.#expect("see");
      const target = this.#parseTarget();
      return target.kind === "column" ? { ...target, shownAs: null } : { ...target, isVisible: false };
    }
    if (this.#accept("may")) return this.#parseChange();
    this.#expect("sees", "cannot", "may");
    const amount = this.#parseAmount();
    if (amount !== undefined) return this.#parseRows(amount);
    const target = this.#parseTarget();
    if (target.kind === "dataset") return { ...target, isVisible: true };
    if (this.#accept("in")) {
      this.#expect("clear");
      return { ...target, shownAs: "clear" };
    }
    this.#expect("as", "in");
    return { ...target, shownAs: this.#parseMask() };
  }

  /** After `may`: `update status to done in shop.tickets`, `not delete rows of shop.tickets`, `not change shop.tickets`. */
  #parseChange(): Claim {
    const isAllowed = !this.#accept("not");
    const word = this.#take("update, insert, delete or change");
    const operation = word.text === "change" ? "any" : CHANGE_OPERATIONS.find((each) => each === word.text);
    if (operation === undefined) throw unknownName("change", word, [...CHANGE_OPERATIONS, "change"]);
    const hasColumn = operation !== "any" && operation !== "delete" && !this.#isWord("row", "rows");
    const column = hasColumn ? this.#take("a column") : undefined;
    const value = column !== undefined && this.#accept("to") ? this.#take("a value") : undefined;
    if (column !== undefined) this.#expect("in");
    else if (operation !== "any") this.#expectRowsOf();
    const dataset = this.#parseTable();
    const declared = column === undefined ? undefined : requireColumn(dataset, column);
    const approval = isAllowed && this.#accept("with") ? this.#parseApproval() : null;
    const claim = { kind: "change", dataset, operation, column: declared?.name ?? null, approval, isAllowed } as const;
    if (value === undefined || declared === undefined) return claim;
    return { ...claim, value: isTextual(declared.type) ? value.text : scalarOf(value) };
  }

  #expectRowsOf(): void {
    this.#expect("row", "rows");
    this.#expect("of");
  }

  #parseApproval(): Approval {
    this.#expect("approval");
    const word = this.#take("none, requester or reviewer");
    const approval = APPROVALS.find((each) => each === word.text);
    if (approval === undefined) throw unknownName("approval", word, APPROVALS);
    return approval;
  }

  #parseTable(): TableDataset {
    const name = this.#peek();
    const target = this.#parseTarget();
    const table = listTables(this.#policy).find(({ id }) => target.kind === "dataset" && id === target.dataset);
    if (table !== undefined) return table;
    throw new Mistake(`${name?.text ?? ""} is no table, and only tables have rows.`, name?.column ?? this.#column());
  }

  #parseMask(): string {
    const mask = this.#take("a mask");
    const forms = mask.text.split("|");
    for (const form of forms) {
      const masks = ["null", "redact", "year", "month", "email", "clear", "hidden"];
      if (masks.includes(form) || /^(?:(?:last|bucket|round)\(\d+\)|token\([a-z][a-z0-9_-]*\))$/.test(form)) continue;
      throw unknownName("mask", { ...mask, text: form }, [
        ...masks,
        "last(3)",
        "bucket(10)",
        "round(10)",
        "token(name)",
      ]);
    }
    return forms.toSorted().join("|");
  }

  #parseAmount(): number | "all" | "some" | "only" | undefined {
    const part = this.#peek();
    if (part === undefined || part.isQuoted) return undefined;
    const amounts = { all: "all", some: "some", a: "some", only: "only", no: 0 } as const;
    const amount = Object.entries(amounts).find(([word]) => word === part.text)?.[1];
    const count = /^\d+$/.test(part.text) ? Number(part.text) : amount;
    if (count !== undefined) this.#next += 1;
    return count;
  }

  #parseRows(amount: number | "all" | "some" | "only"): Claim {
    this.#expectRowsOf();
    const name = this.#peek();
    const tables = listTables(this.#policy);
    const isTable = tables.some(({ id }) => id === name?.text);
    const column = tables
      .flatMap(({ columns }) => columns.map((each) => each.name))
      .find((each) => each === name?.text);
    if (!isTable && column !== undefined && amount === 0) return this.#parseRowsOfColumn(column, tables);
    const table = this.#parseTable();
    const where = this.#accept("where") ? this.#parseConditions(table) : [];
    if (amount === "only" && where.length === 0) this.#expect("where");
    return { kind: "rows", amount, rows: [{ table, where }] };
  }

  /** `no row of region south`: no such row of any table with this column. */
  #parseRowsOfColumn(column: string, tables: readonly TableDataset[]): Claim {
    this.#take("a column");
    this.#accept("=");
    const value = this.#take("a value");
    const rows = tables.flatMap((table) => {
      const declared = table.columns.find(({ name }) => name === column);
      if (declared === undefined || table.hidden) return [];
      return [{ table, where: [{ column, op: "=" as const, value: valueFor(declared.type, value) }] }];
    });
    return { kind: "rows", amount: 0, rows };
  }

  #parseConditions(table: TableDataset): readonly CaseCondition[] {
    const conditions: CaseCondition[] = [];
    do {
      const column = requireColumn(table, this.#take("a column"));
      if (this.#accept("is")) {
        const isNegated = this.#accept("not");
        this.#expect("null");
        conditions.push({ column: column.name, op: isNegated ? "is not null" : "is null" });
        continue;
      }
      const sign = this.#take("a comparison");
      const op = OPERATORS.find((each) => each === (sign.text === "<>" ? "!=" : sign.text));
      if (op === undefined)
        throw new Mistake(
          `${sign.text} is no comparison. There are: ${OPERATORS.join(" ")}, is null, is not null.`,
          sign.column,
        );
      conditions.push({ column: column.name, op, value: valueFor(column.type, this.#take("a value")) });
    } while (this.#accept("and"));
    return conditions;
  }

  /** A dataset, or a column of a table. Names of tables and columns may contain dots, so whole names are compared. */
  #parseTarget():
    | { readonly kind: "dataset"; readonly dataset: string }
    | { readonly kind: "column"; readonly dataset: TableDataset; readonly column: string } {
    const part = this.#take("a table or column");
    const { datasets } = this.#policy;
    if (datasets.some(({ id }) => id === part.text)) return { kind: "dataset", dataset: part.text };
    const tables = listTables(this.#policy);
    for (const dataset of tables) {
      const column = dataset.columns.find(({ name }) => `${dataset.id}.${name}` === part.text)?.name;
      if (column !== undefined) return { kind: "column", dataset, column };
    }
    const table = tables.find(({ id }) => part.text.startsWith(`${id}.`));
    const names =
      table === undefined ? datasets.map(({ id }) => id) : table.columns.map(({ name }) => `${table.id}.${name}`);
    const columns = tables.flatMap(({ id, columns: all }) => all.map(({ name }) => `${id}.${name}`));
    throw unknownName(table === undefined ? "table or column" : "column", part, names, [...names, ...columns]);
  }
}

function requireColumn({ id, columns }: TableDataset, name: Part): Column {
  const column = columns.find((declared) => declared.name === name.text);
  if (column !== undefined) return column;
  throw unknownName(
    `column of ${id}`,
    name,
    columns.map((declared) => declared.name),
  );
}

function listTables({ datasets }: Policy): readonly TableDataset[] {
  return datasets.filter((dataset) => dataset.kind === "table");
}

function unknownName(kind: string, { text, column }: Part, names: readonly string[], candidates = names): Mistake {
  const suggestion = suggestName(text, candidates);
  const choice =
    suggestion === undefined
      ? names.length === 0
        ? "There is none."
        : `There are: ${names.join(", ")}.`
      : `Did you mean ${suggestion}?`;
  return new Mistake(`there is no ${kind} ${text}. ${choice}`, column);
}

/** A value of an attribute: quoted text is text; a number, true and false are what they look like. */
function scalarOf({ text, isQuoted }: Part): Scalar {
  if (isQuoted) return text;
  if (text === "true" || text === "false") return text === "true";
  return /^-?\d+(?:\.\d+)?$/.test(text) ? Number(text) : text;
}

/** A value to compare a column with. */
function valueFor(type: ColumnType, part: Part): string | number {
  if (isTextual(type)) return part.text;
  const value = scalarOf({ ...part, isQuoted: false });
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "string") throw new Mistake(`${part.text} is text, but the column is ${type}.`, part.column);
  return value;
}
