// Fuzzes the reading of files as tables: a generated CSV, TSV, JSON or JSON Lines file gives what a plain reference reader gives, and a
// damaged one is refused with its line or item. The sample here is bounded; FUZZ_MINUTES=10 and FUZZ_SEED=7 run it longer.
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { governDocument } from "../../../src/read/source.ts";
import { decodeText } from "../../../src/documents/text-encoding.ts";
import { parseTabularDocument } from "../../../src/documents/tabular-document.ts";
import { toJsonCell } from "../../../src/sql/result-encoding.ts";
import { createRandom } from "../../sql/fuzz/generator.ts";

const DEFAULT_FILES = 1500;
const LIMITS = { storedRows: 1000, maxValueBytes: 1_000_000 };

type Value = string | number | null;

interface Sample {
  readonly key: string;
  readonly text: string;
  readonly titles: readonly string[];
  readonly rows: readonly (readonly Value[])[];
}

function createGenerator(random: () => number) {
  const below = (count: number): number => Math.floor(random() * count);
  const pick = <T>(list: readonly T[]): T => {
    const item = list[below(list.length)];
    if (item === undefined) throw new RangeError("nothing to pick from");
    return item;
  };
  const PARTS = [
    "a",
    "Zoë",
    " ",
    ",",
    ";",
    "\t",
    "|",
    '"',
    "\n",
    "\r\n",
    "x y",
    "🍎",
    "007",
    "1.5",
    "(",
    "#",
    "'",
    "\\",
    "=",
    "日本",
  ];
  const text = (): string => `w${Array.from({ length: below(4) }, () => pick(PARTS)).join("")}`;
  const integer = (): string => String(below(2) * -1 * below(1000) || below(100_000));
  const decimal = (): string => `${integer()}.${1 + below(9)}${pick(["", "0", "5"])}`;
  return { below, pick, text, integer, decimal };
}
type Generator = ReturnType<typeof createGenerator>;

/** Writes a whole number with a mark between its thousands, one digit after the other. */
function writeGrouped(value: number, mark: string): string {
  const digits = Array.from(String(value));
  return digits
    .map((digit, index) => (index > 0 && (digits.length - index) % 3 === 0 ? `${mark}${digit}` : digit))
    .join("");
}

/** The kinds of columns: how a value is written, and what it means. Each column has its own marks. */
function generateColumn({ below, pick, text, integer, decimal }: Generator, rowCount: number, delimiter: string) {
  const kind = pick(["text", "integer", "decimal", "code", "long", "phone", "mixed", "comma", "groups", "open"]);
  const mark = pick([".", ","]);
  const groupMark = pick([mark === "." ? "," : ".", " ", "\u00a0", "\u202f", "'", "’"]);
  return Array.from({ length: rowCount }, (_value, row): { readonly written: string; readonly means: Value } => {
    if (row > 0 && below(8) === 0 && kind !== "phone") {
      const written = pick(["", "-", "N/A", "NULL"]);
      return { written, means: null };
    }
    const asText = (written: string) => ({ written, means: written });
    switch (kind) {
      case "integer": {
        const written = integer();
        return { written, means: Number(written) };
      }
      case "decimal": {
        const written = row > 0 && below(3) === 0 ? integer() : decimal();
        return { written, means: Number(written) };
      }
      case "comma": {
        const number = row > 0 && below(3) === 0 ? integer() : `${below(1000)}.${10 + below(90)}`;
        return { written: number.replace(".", ","), means: Number(number) };
      }
      case "groups": {
        const whole = row === 0 ? 1000 + below(5_000_000) : below(pick([100, 100_000]));
        const decimals = row > 0 && below(2) === 0 ? "" : String(10 + below(90));
        const written = writeGrouped(whole, groupMark);
        if (decimals === "") return { written, means: whole };
        return { written: `${written}${mark}${decimals}`, means: Number(`${whole}.${decimals}`) };
      }
      case "open": {
        const number = `${1 + below(999)}.${100 + below(900)}`;
        return mark === "." && delimiter === ","
          ? { written: number, means: Number(number) }
          : asText(number.replace(".", mark));
      }
      case "code":
        return asText(row === 0 ? "007" : integer());
      case "long":
        return asText(row === 0 ? "1234567890123456" : decimal());
      case "phone":
        return asText(`+49${100_000 + below(900_000)}`);
      case "mixed":
        return asText(row === 0 ? "n. a." : pick([integer, decimal])());
      default:
        return asText(text());
    }
  });
}

/** Writes a field as RFC 4180 says, and sometimes with quotes that it does not need. */
function writeField(written: string, delimiter: string, { below }: Generator, canQuote: boolean): string {
  const needsQuotes = /["\r\n]/.test(written) || written.includes(delimiter) || written !== written.trim();
  return needsQuotes || (canQuote && below(5) === 0) ? `"${written.replaceAll('"', '""')}"` : written;
}

function generateCsv(generator: Generator): Sample {
  const { below, pick, text } = generator;
  const extension = pick(["csv", "tsv"]);
  const delimiter = extension === "tsv" ? "\t" : pick([",", ";", "\t", "|"]);
  const newline = pick(["\n", "\r\n"]);
  const width = 2 + below(5);
  const rowCount = 1 + below(8);
  // A title holds each delimiter only in quotes, so that the dialect is what the generator means.
  const titles = Array.from({ length: width }, (_value, index) => `${text()}${index}`.trim());
  const columns = titles.map(() => generateColumn(generator, rowCount, delimiter));
  const header = titles.map((title) => (/^[\w ]*$/.test(title) ? title : `"${title.replaceAll('"', '""')}"`));
  const lines = Array.from({ length: rowCount }, (_value, row) =>
    columns.map((column) => {
      const { written = "", means } = column[row] ?? {};
      const space = typeof means === "number" ? pick(["", "", " "]) : "";
      return `${space}${writeField(written, delimiter, generator, means !== null)}`;
    }),
  );
  const body = [header, ...lines].map((fields) => fields.join(delimiter)).join(newline);
  return {
    key: `t.${extension}`,
    text: `${pick(["", "\ufeff"])}${body}${pick(["", newline, newline + newline])}`,
    titles,
    rows: Array.from({ length: rowCount }, (_value, row) => columns.map((column) => column[row]?.means ?? null)),
  };
}

function generateJson(generator: Generator): Sample {
  const { below, pick, text } = generator;
  const titles = Array.from({ length: 1 + below(4) }, (_value, index) => `${text()}${index}`);
  const makers = titles.map(() =>
    pick<() => Value>([
      text,
      () => below(1000),
      () => below(1000) / 8,
      () => null,
      () => pick([text(), below(9), null]),
    ]),
  );
  const rows = Array.from({ length: 1 + below(6) }, () => makers.map((make) => make()));
  const items = rows.map((row) => Object.fromEntries(titles.map((title, index) => [title, row[index] ?? null])));
  const form = pick(["array", "object", "lines"]);
  const json =
    form === "lines"
      ? items.map((item) => JSON.stringify(item)).join(pick(["\n", "\r\n", "\n\n"]))
      : JSON.stringify(form === "object" ? { total: 1, items } : items, null, below(3));
  return { key: form === "lines" ? "t.jsonl" : "t.json", text: json, titles, rows };
}

function read({ key, text }: Pick<Sample, "key" | "text">): ReturnType<typeof parseTabularDocument> {
  return parseTabularDocument(governDocument({ key, title: key, text }), LIMITS);
}

/** Writes a text in one of the encodings that have all its characters. */
function encode(text: string, { pick }: Generator): Uint8Array {
  // oxlint-disable-next-line no-control-regex -- the range is all of Latin-1
  const isLatin1 = !/[^\u0000-\u00ff]/.test(text);
  const encoding = pick(["UTF-8", "UTF-16LE", "UTF-16BE", ...(isLatin1 ? ["Latin-1"] : [])]);
  if (encoding === "UTF-8") return new TextEncoder().encode(text);
  if (encoding === "Latin-1") return Uint8Array.from(text, (character) => character.charCodeAt(0));
  const marked = `\ufeff${text}`;
  const view = new DataView(new ArrayBuffer(marked.length * 2));
  for (let index = 0; index < marked.length; index += 1)
    view.setUint16(index * 2, marked.charCodeAt(index), encoding === "UTF-16LE");
  return new Uint8Array(view.buffer);
}

/** The reference reader: one character after the other. A quote at the beginning of a field opens it, as RFC 4180 says. */
function readRecords(text: string): readonly (readonly string[])[] {
  const records: string[][] = [[""]];
  let state: "start" | "plain" | "quoted" | "closed" = "start";
  for (const character of text.replaceAll("\r\n", "\n")) {
    const fields = records.at(-1) ?? [];
    const append = (): void => void fields.push(`${fields.pop() ?? ""}${character}`);
    if (state === "quoted" && character !== '"') append();
    else if (character === '"' && state === "start") state = "quoted";
    else if (character === '"' && state === "quoted") state = "closed";
    else if (character === '"' && state === "closed") {
      state = "quoted";
      append();
    } else if (character === ",") {
      fields.push("");
      state = "start";
    } else if (character === "\n") {
      records.push([""]);
      state = "start";
    } else {
      append();
      state = "plain";
    }
  }
  return records;
}

const minutes = Number(env.FUZZ_MINUTES);
const seed = Number(env.FUZZ_SEED);

it(
  "reads generated files as they were meant, and refuses damaged ones with the line or item",
  () => {
    const generator = createGenerator(createRandom(seed));
    const endsMs = Date.now() + minutes * 60_000;
    let refusals = 0;
    for (let file = 0; minutes > 0 ? Date.now() < endsMs : file < DEFAULT_FILES; file += 1) {
      const sample = generator.below(3) === 0 ? generateJson(generator) : generateCsv(generator);
      const decoded = decodeText(encode(sample.text, generator));
      expect(decoded, `file ${file} of seed ${seed}`).toMatchObject({ kind: "text" });
      const table = read({ key: sample.key, text: decoded.text });
      const description = `file ${file} of seed ${seed}, ${sample.key}: ${JSON.stringify(sample.text)}`;
      if (table?.kind !== "table") throw new Error(`${description}: ${table?.problem ?? "no table"}`);
      expect(table.titles, description).toEqual(sample.titles);
      const rows = table.rows.map((row) => row.map(toJsonCell));
      expect(rows, description).toEqual(sample.rows);
      for (const [index, type] of table.types.entries()) {
        const kinds = new Set(table.rows.map((row) => typeof toJsonCell(row[index] ?? null)));
        expect(type === "TEXT" ? kinds.has("number") : kinds.has("string") && type !== null, description).toBe(false);
      }
      const at = generator.below(sample.text.length);
      const damaged = `${sample.text.slice(0, at)}${generator.pick(['"', "", "{", ","])}${sample.text.slice(at + 1)}`;
      const again = read({ key: sample.key, text: damaged });
      if (again?.kind !== "problem") continue;
      refusals += 1;
      expect(again.problem, `damaged: ${JSON.stringify(damaged)}`).toMatch(
        /\b(?:line|item) [1-9]|^it has (?:no |[0-9]+ (?:arrays|columns))|a key has/,
      );
    }
    expect(refusals).toBeGreaterThan(DEFAULT_FILES / 100);
  },
  minutes * 60_000 + 60_000,
);

it(
  "reads random characters as a reader of single characters divides them, or refuses them with the line",
  () => {
    const { below, pick } = createGenerator(createRandom(seed + 1));
    const endsMs = Date.now() + minutes * 60_000;
    for (let file = 0; minutes > 0 ? Date.now() < endsMs : file < DEFAULT_FILES; file += 1) {
      const parts = Array.from({ length: 2 + below(20) }, () =>
        pick(["x", "", '""', '"a,b"', '"a\nb"', '"""q"""', "1", ",", "\n", "\r\n", ",", ",", "\n"]),
      );
      const text = `a,b,c\n${parts.join("")}`;
      const table = read({ key: "t.csv", text });
      if (table?.kind === "problem") expect(table.problem, JSON.stringify(text)).toMatch(/^line [0-9]+(?::| has)/);
      else {
        const [, ...records] = readRecords(text);
        const rows = table?.rows.map((row) => row.map((cell) => (cell === null ? "" : String(toJsonCell(cell)))));
        const padded = records.map((fields) => [...fields, "", ""].slice(0, 3));
        const isEmpty = (fields: readonly string[]): boolean => fields.every((field) => field === "");
        expect(
          rows?.filter((row) => !isEmpty(row)),
          JSON.stringify(text),
        ).toEqual(padded.filter((row) => !isEmpty(row)));
      }
    }
  },
  minutes * 60_000 + 60_000,
);
