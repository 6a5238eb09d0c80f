// Splits names into words, whatever style they are written in: customer_email, CustomerEMail, strCustEmail, TBL-KUNDEN.

/** Splits a name into lower-case words without accents and digits: `customerEMail2` becomes customer, email. */
export function wordsOf(name: string): readonly string[] {
  const plain = name
    .normalize("NFKD")
    .replace(/\p{M}+/gu, "")
    .replace(/ß/g, "ss");
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
