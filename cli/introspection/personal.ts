// Detects columns that look personal or secret, by their names in ten languages, the names of their tables, and the form of their values.
// Introspection hides such columns, `open --all-but-personal` leaves them hidden, and `policy check` warns of those that a role sees.
import type { ColumnType } from "../../src/policy/model.ts";
import {
  DEEDS,
  DEED_LINKS,
  NAMES,
  NAME_PARTS,
  ROLES,
  ROLE_ENDINGS,
  isRole,
  isTableOfPeople,
} from "./personal-people.ts";
import { reasonByValues } from "./personal-values.ts";
import {
  ABOUT,
  COUNTS,
  HUNGARIAN,
  INNOCENT,
  LINKS,
  SECRET_COLUMNS,
  SECRET_TABLES,
  TOGETHER,
  WEAK,
  WORDS,
} from "./personal-words.ts";
import { listForms, wordsOf } from "./words.ts";

/** What a column looks like, such as "an email address". */
type Reason = string;

/** A column to judge. */
interface JudgedColumn {
  readonly table: string;
  readonly column: string;
  /** Sampled values as text; none when there is no data. */
  readonly values: readonly string[];
  readonly type?: ColumnType | undefined;
}

const BIRTH = "a date of birth or an age";
const HEALTH = "health or belief";
const NAME = "a person's name";
const SECRET = "a secret";
const PERSON = "a person";
const ADDRESS = "an address";

const BY_WORD = new Map(
  WORDS.flatMap(([reason, words]) => [...listForms(words)].map((word) => [word, reason] as const)),
);

/** Words long enough to be searched inside a name without separators, such as `custemail` or `kundentelefon`. */
const INSIDE = [...BY_WORD].filter(([word]) => word.length >= 5 && !WEAK.has(word));

const PAIRS = TOGETHER.map(([reason, words]) => ({ reason, words: words.split(" ") }));

/** Most words of a name that are listed as one, such as `social_security_number`. */
const MAX_JOINED_WORDS = 4;

/** Says what a column looks like; undefined when it looks neither personal nor secret. */
export function personalReason({ table, column, values, type }: JudgedColumn): Reason | undefined {
  const reason = byName(table, column);
  const isNamed = reason !== undefined && fitsType(reason, type) && !(isOfPerson(reason) && areKeys(values));
  // The column `contact` may hold addresses.
  if (isNamed && reason === PERSON) return reasonByValues(values) ?? reason;
  return isNamed ? reason : reasonByValues(values);
}

const TEXTS: readonly Reason[] = ["an email address", NAME, PERSON, "a social media account", "free text"];

/** Whether a column of this type can hold it: a date is no email address, and a flag says little but about health. */
export function fitsType(reason: Reason, type: ColumnType | undefined): boolean {
  switch (type) {
    case undefined:
    case "text":
    case "json":
      return true;
    case "boolean":
      return reason === HEALTH;
    case "date":
    case "datetime":
      return reason === BIRTH;
    case "integer":
    case "real":
      return !TEXTS.includes(reason);
  }
}

function isOfPerson(reason: Reason): boolean {
  return reason === NAME || reason === PERSON;
}

/** Whether all values are numbers or UUIDs, which refer to a person in another table. */
function areKeys(values: readonly string[]): boolean {
  return (
    values.length > 0 && values.every((value) => /^(?:\d+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i.test(value))
  );
}

function byName(table: string, column: string): Reason | undefined {
  const tableWords = wordsOf(table);
  const allWords = wordsOf(column);
  const [first = ""] = allWords;
  const words = allWords.length > 1 && HUNGARIAN.has(first) ? allWords.slice(1) : allWords;
  const last = words.at(-1) ?? "";
  const meaning = words.filter((word) => !LINKS.has(word));
  const whole = meaning.join("");
  const isPeople = isTableOfPeople(tableWords);
  const isSecretTable = tableWords.some((word) => SECRET_TABLES.has(word)) || SECRET_TABLES.has(tableWords.join(""));
  if (words.some((word) => COUNTS.has(word))) return undefined;
  if (words[0] === "line" && tableWords.some((word) => BY_WORD.get(word) === ADDRESS)) return ADDRESS;
  if (isSecretTable && SECRET_COLUMNS.has(whole)) return SECRET;
  const isStrong = (word: string): boolean => !WEAK.has(word) || isPeople || isSecretTable || words.some(isRole);
  const exact = BY_WORD.get(words.join("")) ?? BY_WORD.get(whole);
  if (exact !== undefined && (isStrong(whole) || exact === "free text")) return exact;
  if (words.length > 1 && ABOUT.has(last)) return words.some((word) => BY_WORD.get(word) === BIRTH) ? BIRTH : undefined;
  const pair = PAIRS.find(({ words: both }) => both.every((word) => words.includes(word)));
  if (pair !== undefined) return pair.reason;
  if (isReference(words))
    return endings(meaning)
      .map((run) => BY_WORD.get(run))
      .find((reason) => reason !== undefined);
  const listed = runs(meaning).find((run) => BY_WORD.has(run) && isStrong(run));
  if (listed !== undefined) return BY_WORD.get(listed);
  return (
    nameReason(words, isPeople) ?? roleReason(words) ?? words.map(reasonInside).find((reason) => reason !== undefined)
  );
}

/** `address_id` refers to a row elsewhere. */
function isReference(words: readonly string[]): boolean {
  return words.length > 1 && ["id", "ids", "uuid", "guid", "ref", "key", "fk"].includes(words.at(-1) ?? "");
}

/** The words at the end, joined, at least two of them: `deviceid` of `last_device_id`. */
function endings(words: readonly string[]): readonly string[] {
  return [2, 3, 4].filter((count) => count <= words.length).map((count) => words.slice(-count).join(""));
}

/** All neighbouring words, joined, the most first. */
function runs(words: readonly string[]): readonly string[] {
  const lengths = Array.from({ length: Math.min(MAX_JOINED_WORDS, words.length) }, (_unused, index) => index + 1);
  return lengths
    .toReversed()
    .flatMap((length) =>
      words.slice(0, words.length - length + 1).map((_word, start) => words.slice(start, start + length).join("")),
    );
}

function nameReason(words: readonly string[], isPeople: boolean): Reason | undefined {
  const last = words.at(-1) ?? "";
  const hasRole =
    words.slice(0, -1).some(isRole) || (words.length > 1 && words.slice(1).some((word) => ROLES.has(word)));
  const isName = NAMES.has(last) || NAMES.has(words[0] ?? "");
  if (isName && (hasRole || (words.length === 1 && isPeople))) return NAME;
  if (NAME_PARTS.has(last) && (hasRole || (words.length === 1 && isPeople))) return NAME;
  return undefined;
}

function roleReason(words: readonly string[]): Reason | undefined {
  const last = words.at(-1) ?? "";
  if (ROLES.has(last)) return PERSON;
  const isDeed = words.length > 1 && DEED_LINKS.has(last) && DEEDS.has(words.at(-2) ?? "");
  return isDeed ? PERSON : undefined;
}

/** Searches a word for listed words inside it, for names without separators. */
function reasonInside(word: string): Reason | undefined {
  if (INNOCENT.test(word)) return undefined;
  const owner = /^(.+?)(?:name|nom|naam|namn)$/.exec(word)?.[1];
  if (owner !== undefined && (isRole(owner) || /^(?:cust|kunden|emp|pers|kontakt)$/.test(owner))) return NAME;
  const pair = PAIRS.find(({ words }) => word.includes(words.join("")));
  if (pair !== undefined) return pair.reason;
  const inside = INSIDE.find(([part]) => word.startsWith(part) || word.endsWith(part))?.[1];
  return inside ?? (ROLE_ENDINGS.some((ending) => word.endsWith(ending)) ? PERSON : undefined);
}
