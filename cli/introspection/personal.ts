// Detects columns that look personal or secret, by their names (English, German, French) and by the form of their values. It prefers
// false positives: the operator opens a wrongly hidden column by deleting one line.
import { COUNTS, HUNGARIAN, INNOCENT, NAME, PEOPLE, TOGETHER, WORDS } from "./personal-words.ts";
import { wordsOf } from "./words.ts";

/** What a column looks like, such as "an email address". */
type Reason = string;

const BY_WORD = new Map(WORDS.flatMap(([reason, words]) => words.split(" ").map((word) => [word, reason] as const)));

/** Words long enough to be searched inside a name without separators, such as `custemail` or `kundentelefon`. */
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
  ["a location or a device", (text) => /^(?:\d{1,3}\.){3}\d{1,3}$/.test(text)],
  [
    "a location or a device",
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

/** The share of values that must match a pattern. */
const MIN_SHARE = 0.3;

/** Says what a column looks like; undefined when it looks neither personal nor secret. `values` are sampled values as text. */
export function personalReason(table: string, column: string, values: readonly string[]): Reason | undefined {
  return byName(table, column) ?? byValues(values);
}

function byName(table: string, column: string): Reason | undefined {
  const words = wordsOf(column);
  const [first = ""] = words;
  const nameWords = words.length > 1 && HUNGARIAN.has(first) ? words.slice(1) : words;
  const joined = nameWords.join("");
  if (nameWords.some((word) => COUNTS.has(word))) return undefined;
  const together = TOGETHER.find(([, combination]) => combination.every((word) => nameWords.includes(word)));
  if (together !== undefined) return together[0];
  const isKey = nameWords.length > 1 && nameWords.at(-1) === "id";
  for (const word of nameWords) {
    const reason = BY_WORD.get(word);
    // `address_id` refers to a row elsewhere, unless the joined words are listed themselves, as `deviceid` is.
    if (reason !== undefined && !(isKey && !BY_WORD.has(joined))) return reason;
  }
  if (BY_WORD.has(joined)) return BY_WORD.get(joined);
  const isName = NAME.has(nameWords.at(-1) ?? "");
  if (isName && (nameWords.some((word) => PEOPLE.has(word)) || (nameWords.length === 1 && isOfPeople(table))))
    return "a person's name";
  if (isKey) return undefined;
  return nameWords.map(reasonInside).find((reason) => reason !== undefined);
}

function isOfPeople(table: string): boolean {
  return wordsOf(table).some((word) => PEOPLE.has(word));
}

/** Searches a word for listed words inside it, for names without separators. */
function reasonInside(word: string): Reason | undefined {
  if (INNOCENT.test(word)) return undefined;
  const owner = /^(.+?)(?:name|nom)$/.exec(word)?.[1];
  if (owner !== undefined && (PEOPLE.has(owner) || /^(?:cust|kunden|emp|pers)$/.test(owner))) return "a person's name";
  const together = TOGETHER.find(([, parts]) => parts.length > 1 && word.includes(parts.join("")));
  if (together !== undefined) return together[0];
  return INSIDE.find(([part]) => word.startsWith(part) || word.endsWith(part))?.[1];
}

function byValues(values: readonly string[]): Reason | undefined {
  const filled = values.filter((value) => value !== "");
  if (filled.length === 0) return undefined;
  const minMatches = Math.max(1, filled.length * MIN_SHARE);
  return VALUES.find(([, matches]) => filled.filter((value) => matches(value.trim())).length >= minMatches)?.[0];
}

/** Whether a text is 13 to 19 digits with the Luhn check digit of ISO/IEC 7812. */
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
