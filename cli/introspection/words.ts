// Splits names into words, whatever style they are written in: customer_email, CustomerEMail, strCustEmail, TBL-KUNDEN.

/** Letters that are no letter with an accent to Unicode. */
const LETTERS: Readonly<Record<string, string>> = {
  ß: "ss",
  ł: "l",
  Ł: "L",
  ø: "o",
  Ø: "O",
  æ: "ae",
  Æ: "Ae",
  œ: "oe",
  Œ: "Oe",
  ı: "i",
  đ: "d",
  Đ: "D",
};

/** How ASCII spells letters of German and of Scandinavian languages. */
const TRANSLITERATIONS: Readonly<Record<string, string>> = { ä: "ae", ö: "oe", ü: "ue", å: "aa", ø: "oe" };

/** Removes accents: `Prüfer` becomes Prufer. */
function removeAccents(text: string): string {
  return text
    .replaceAll(/[ßłŁøØæÆœŒıđĐ]/g, (letter) => LETTERS[letter] ?? letter)
    .normalize("NFKD")
    .replaceAll(/\p{M}+/gu, "");
}

/** The forms in which names spell words without accents: `prüfer` is prufer and pruefer. */
export function listForms(words: string): ReadonlySet<string> {
  const forms = words
    .normalize("NFC")
    .split(" ")
    .flatMap((word) => [
      removeAccents(word),
      removeAccents(word.replaceAll(/[äöüåø]/g, (letter) => TRANSLITERATIONS[letter] ?? letter)),
    ]);
  return new Set(forms.map((form) => form.toLowerCase()));
}

/** Splits a name into lower-case words without accents and digits: `customerEMail2` becomes customer, email. */
export function wordsOf(name: string): readonly string[] {
  const plain = removeAccents(name);
  const spaced = plain
    // eMail and E-Mail are one word, although their capitals and hyphens look like a boundary.
    .replace(/(?<![a-z])e[-_ ]?mail/gi, (_match, offset: number) => (offset > 0 ? "_email" : "email"))
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .replace(/([A-Z]+)([A-Z][a-z])/g, "$1_$2");
  return spaced
    .toLowerCase()
    .split(/[^a-z]+/)
    .filter((word) => word !== "");
}

/** Writes a name as people do: `customer_email` becomes Customer email. */
export function humanised(name: string): string {
  const text = name
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replace(/[_\-\s]+/g, " ")
    .trim()
    .toLowerCase();
  return text === "" ? name : `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}
