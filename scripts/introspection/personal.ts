// Which columns look personal or secret, by their names (English, German, French) and by what their values look like. It
// errs towards marking: what is marked by mistake a person opens with one word.
import { COUNTS, HUNGARIAN, INNOCENT, NAME, PEOPLE, TOGETHER, WORDS } from "./personal-words.ts";
import { wordsOf } from "./words.ts";

/** Why a column is marked; undefined when it does not look personal. */
export type Reason = string;

const BY_WORD = new Map(WORDS.flatMap(([reason, words]) => words.split(" ").map((word) => [word, reason] as const)));

/** Words that are long enough to be found in a name that is written in one piece: `custemail`, `kundentelefon`. */
const INSIDE = [...BY_WORD].filter(([word]) => word.length >= 5);

const VALUES: readonly (readonly [Reason, (text: string) => boolean])[] = [
  ["an email address", (text) => /^[^\s@]+@[^\s@]+\.[a-z]{2,}$/i.test(text)],
  ["bank or card data", (text) => /^[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?$/.test(text)],
  ["bank or card data", isCardNumber],
  ["an official number", (text) => /^\d{3}-\d{2}-\d{4}$/.test(text)],
  [
    "a phone number",
    (text) =>
      /^(?:\+|00)\d[\d\s()./-]{6,18}\d$/.test(text) ||
      /^\(?0\d{1,5}\)?[\s/-]\d[\d\s-]{4,12}$/.test(text) ||
      /^\(\d{3}\) ?\d{3}-\d{4}$/.test(text),
  ],
  ["where or what somebody was", (text) => /^(?:\d{1,3}\.){3}\d{1,3}$/.test(text)],
  [
    "where or what somebody was",
    (text) => /^(?:[0-9a-f]{1,4}:){4,7}[0-9a-f]{0,4}$/i.test(text) || /^Mozilla\/\d/.test(text),
  ],
  [
    "a secret",
    (text) =>
      /^\$(?:2[aby]|argon2id?|scrypt|pbkdf2)[^ ]*\$/.test(text) ||
      /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/.test(text) ||
      /^(?:sk|pk|ghp|xox[bp])[-_][\w-]{16,}$/.test(text),
  ],
  [
    "an address",
    (text) =>
      /^[\p{L}.\- ]{3,} \d{1,4} ?[a-z]?(?:,|$)/iu.test(text) &&
      /str|stra|weg|platz|allee|gasse|rue|avenue|place|road|lane|quay/i.test(text),
  ],
  [
    "an address",
    (text) =>
      /^\d{1,5} [\p{L}.' ]+ (?:street|st|road|rd|avenue|ave|lane|ln|drive|dr|court|way|boulevard|blvd)\b/iu.test(text),
  ],
];

/** Share of the values that must look alike. */
const MIN_SHARE = 0.3;

/** Why the column looks personal or secret. `values` are a sample, as texts. */
export function personalReason(table: string, column: string, values: readonly string[]): Reason | undefined {
  return byName(table, column) ?? byValues(values);
}

function byName(table: string, column: string): Reason | undefined {
  const words = wordsOf(column);
  const [first = ""] = words;
  const telling = words.length > 1 && HUNGARIAN.has(first) ? words.slice(1) : words;
  const joined = telling.join("");
  if (telling.some((word) => COUNTS.has(word))) return undefined;
  const together = TOGETHER.find(([, wanted]) => wanted.every((word) => telling.includes(word)));
  if (together !== undefined) return together[0];
  const isKey = telling.length > 1 && telling.at(-1) === "id";
  for (const word of telling) {
    const reason = BY_WORD.get(word);
    // `address_id` and `session_id` name a row elsewhere, unless the whole is a name of its own.
    if (reason !== undefined && !(isKey && !BY_WORD.has(joined))) return reason;
  }
  if (BY_WORD.has(joined)) return BY_WORD.get(joined);
  const isName = NAME.has(telling.at(-1) ?? "");
  if (isName && (telling.some((word) => PEOPLE.has(word)) || (telling.length === 1 && isOfPeople(table))))
    return "a person's name";
  if (isKey) return undefined;
  return telling.map(inside).find((reason) => reason !== undefined);
}

function isOfPeople(table: string): boolean {
  return wordsOf(table).some((word) => PEOPLE.has(word));
}

/** A word of a name that is written in one piece. */
function inside(word: string): Reason | undefined {
  if (INNOCENT.test(word)) return undefined;
  const named = /^(.+?)(?:name|nom)$/.exec(word)?.[1];
  if (named !== undefined && (PEOPLE.has(named) || /^(?:cust|kunden|emp|pers)$/.test(named))) return "a person's name";
  const together = TOGETHER.find(([, parts]) => parts.length > 1 && word.includes(parts.join("")));
  if (together !== undefined) return together[0];
  return INSIDE.find(([part]) => word.startsWith(part) || word.endsWith(part))?.[1];
}

function byValues(values: readonly string[]): Reason | undefined {
  const told = values.filter((value) => value !== "");
  if (told.length === 0) return undefined;
  return VALUES.find(
    ([, looks]) => told.filter((value) => looks(value.trim())).length >= Math.max(1, told.length * MIN_SHARE),
  )?.[0];
}

/** 13 to 19 digits with the check digit of ISO/IEC 7812. */
function isCardNumber(text: string): boolean {
  const digits = text.replace(/[ -]/g, "");
  if (!/^\d{13,19}$/.test(digits)) return false;
  const sum = Array.from(digits)
    .toReversed()
    .reduce((total, digit, index) => {
      const value = Number(digit) * (index % 2 === 1 ? 2 : 1);
      return total + (value > 9 ? value - 9 : value);
    }, 0);
  return sum % 10 === 0;
}
