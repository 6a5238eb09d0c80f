// Recognises personal and secret values by their form and check digits. It sees sampled values and returns only what they look like.

type Reason = string;

interface ValueForm {
  readonly reason: Reason;
  readonly matches: (text: string) => boolean;
  /** The share of values that must match. Check digits fit one number in ten or more by chance. */
  readonly minShare?: number;
}

/** The share of values that must match a form that other values hardly have by chance. */
const MIN_SHARE = 0.3;
const MIN_SHARE_OF_NUMBERS = 0.8;
const MIN_SHARE_OF_NAMES = 0.5;
/** Fewer values are too few for what chance may explain. */
const MIN_VALUES = 5;

const FORMS: readonly ValueForm[] = [
  { reason: "an email address", matches: (text) => /^[^\s@]+@[^\s@]+\.[a-z]{2,}$/i.test(text) },
  { reason: "bank or card data", matches: isIban },
  { reason: "bank or card data", matches: isCardNumber, minShare: MIN_SHARE_OF_NUMBERS },
  { reason: "an official number", matches: isOfficialNumber, minShare: MIN_SHARE_OF_NUMBERS },
  {
    reason: "a phone number",
    matches: (text) =>
      /^(?:\+|00)\d[\d\s()./-]{6,18}\d$/.test(text) ||
      /^\(?0\d{1,5}\)?[\s/-]\d[\d\s-]{4,12}$/.test(text) ||
      /^(?:\(\d{3}\) ?|\d{3}[-.])\d{3}[-.]\d{4}$/.test(text),
  },
  { reason: "a location or a device", matches: isIpAddress },
  { reason: "a location or a device", matches: (text) => /^(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i.test(text) },
  { reason: "a location or a device", matches: (text) => /^Mozilla\/\d/.test(text) },
  { reason: "a location or a device", matches: (text) => /^-?\d{1,2}\.\d{4,}, ?-?\d{1,3}\.\d{4,}$/.test(text) },
  { reason: "a secret", matches: isSecret },
  {
    reason: "an address",
    matches: (text) =>
      /^[\p{L}.\- ]{3,} \d{1,4} ?[a-z]?(?:,|$)/iu.test(text) &&
      /str|stra|weg|platz|allee|gasse|rue|avenue|place|road|lane|quay|calle|via |ulica|ul\.|straat|gatan|vägen|sokak/i.test(
        text,
      ),
  },
  {
    reason: "an address",
    matches: (text) =>
      /^\d{1,5} [\p{L}.' ]+ (?:street|st|road|rd|avenue|ave|lane|ln|drive|dr|court|way|boulevard|blvd)\b/iu.test(text),
  },
  { reason: "a person's name", matches: beginsWithFirstName, minShare: MIN_SHARE_OF_NAMES },
];

/** Says what values look like; undefined when they look neither personal nor secret. */
export function reasonByValues(values: readonly string[]): Reason | undefined {
  const filled = values.map((value) => value.trim()).filter((value) => value !== "");
  if (filled.length === 0) return undefined;
  return FORMS.find(({ matches, minShare = MIN_SHARE }) => {
    if (minShare > MIN_SHARE && minShare < MIN_SHARE_OF_NUMBERS && filled.length < MIN_VALUES) return false;
    return filled.filter((value) => matches(value)).length >= Math.max(1, filled.length * minShare);
  })?.reason;
}

/** ISO 13616: the check digits make the number 1 modulo 97. */
function isIban(text: string): boolean {
  const iban = text.replaceAll(" ", "").toUpperCase();
  if (!/^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$/.test(iban)) return false;
  return remainder(`${iban.slice(4)}${iban.slice(0, 4)}`, 97) === 1;
}

/** The remainder of a number whose letters stand for 10 to 35. */
function remainder(text: string, divisor: number): number {
  return Array.from(text).reduce((rest, character) => {
    const value = Number.parseInt(character, 36);
    return (rest * (value > 9 ? 100 : 10) + value) % divisor;
  }, 0);
}

/** 13 to 19 digits that begin as cards do, with the Luhn check digit of ISO/IEC 7812. */
function isCardNumber(text: string): boolean {
  const digits = text.replaceAll(/[ -]/g, "");
  if (!/^[2-6]\d{12,18}$/.test(digits)) return false;
  const sum = Array.from(digits)
    .toReversed()
    .reduce((total, digit, index) => {
      const value = Number(digit) * (index % 2 === 1 ? 2 : 1);
      return total + (value > 9 ? value - 9 : value);
    }, 0);
  return sum % 10 === 0;
}

const DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE";
const PESEL_WEIGHTS = [1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1];

function isOfficialNumber(text: string): boolean {
  // United States: SSN. Italy: codice fiscale. Sweden: personnummer.
  if (/^\d{3}-\d{2}-\d{4}$/.test(text) || /^[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]$/i.test(text)) return true;
  if (/^(?:\d{2})?\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])[-+]\d{4}$/.test(text)) return true;
  const spanish = /^(\d{8})([A-Z])$/i.exec(text);
  if (spanish !== null) return DNI_LETTERS[Number(spanish[1]) % 23] === spanish[2]?.toUpperCase();
  if (/^[12]\d{14}$/.test(text)) return 97 - remainder(text.slice(0, 13), 97) === Number(text.slice(13));
  if (!/^\d{2}[0-389]\d{8}$/.test(text)) return false;
  const sum = PESEL_WEIGHTS.reduce((total, weight, index) => total + weight * Number(text[index]), 0);
  return sum % 10 === 0;
}

function isIpAddress(text: string): boolean {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)?.slice(1);
  if (parts !== undefined) return parts.every((part) => Number(part) <= 255);
  return /^(?:[0-9a-f]{1,4}:){4,7}[0-9a-f]{0,4}$/i.test(text);
}

/** A shorter random text is often an id. */
const MIN_SECRET_LENGTH = 32;
/** Bits per character: words have less than 3.5, random letters and digits more than 4.2. */
const MIN_SECRET_ENTROPY = 4;

function isSecret(text: string): boolean {
  if (/^\$(?:2[aby]|argon2id?|scrypt|pbkdf2|6|5)[^ ]*\$/.test(text) || /^eyJ[\w-]+\.[\w-]+\.[\w-]*$/.test(text))
    return true;
  if (/^(?:sk|pk|rk|ghp|gho|ghs|glpat|xox[abps]|whsec|api|key|pat)[-_][\w-]{16,}$/i.test(text)) return true;
  if (/^AKIA[A-Z0-9]{16}$|^AIza[\w-]{35}$|^-----BEGIN [A-Z ]*PRIVATE KEY/.test(text)) return true;
  if (text.length < MIN_SECRET_LENGTH || !/^[\w+/=.-]+$/.test(text)) return false;
  return [/[a-z]/, /[A-Z]/, /\d/].every((kind) => kind.test(text)) && entropyOf(text) >= MIN_SECRET_ENTROPY;
}

/** Shannon's entropy in bits per character. */
function entropyOf(text: string): number {
  const counts = Map.groupBy(Array.from(text), (character) => character);
  return [...counts.values()].reduce((bits, { length }) => {
    const share = length / text.length;
    return bits - share * Math.log2(share);
  }, 0);
}

/** Frequent first names. Two or three words of which the first is one of them are probably a person's name. */
const FIRST_NAMES = new Set(
  [
    "james john robert michael william david richard joseph thomas charles christopher daniel matthew anthony mark steven paul andrew",
    "mary patricia jennifer linda elizabeth barbara susan jessica sarah karen nancy lisa margaret sandra ashley emily emma olivia anna",
    "hans peter klaus jürgen wolfgang stefan andreas martin markus sabine petra monika ursula claudia julia katharina lena lukas jonas",
    "jean pierre michel alain philippe nicolas marie isabelle nathalie camille chloé luc louis claire sophie julien antoine",
    "josé antonio manuel francisco juan carlos luis javier miguel maría carmen ana lucía laura marta pablo diego sofía elena",
    "giuseppe giovanni marco luca andrea matteo alessandro francesca giulia chiara paolo roberto joão pedro tiago rui beatriz inês",
    "jan pieter willem johan kees anneke sanne piotr krzysztof andrzej tomasz paweł agnieszka katarzyna małgorzata ewa",
    "mehmet mustafa ahmet ali hüseyin hasan ayşe fatma emine zeynep elif lars erik anders nils karin kerstin ingrid astrid björn sven",
    "mohamed mohammed omar fatima aisha wei li ming yuki hiroshi raj priya amit sanjay ivan olga dmitri natalia kim",
  ]
    .join(" ")
    .split(" "),
);

function beginsWithFirstName(text: string): boolean {
  const words = text.split(/ +/);
  if (words.length < 2 || words.length > 4 || !words.every((word) => /^\p{Lu}[\p{L}.'-]*$/u.test(word))) return false;
  return FIRST_NAMES.has((words[0] ?? "").toLowerCase());
}
