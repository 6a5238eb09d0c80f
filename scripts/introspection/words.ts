// The words that a name is made of, whatever style it is written in: customer_email, CustomerEMail, strCustEmail, TBL-KUNDEN.

/** Lower-case words in order, without accents: `customerEMail2` is customer, email, 2 → customer email. */
export function wordsOf(name: string): readonly string[] {
  const plain = name
    .normalize("NFKD")
    .replace(/\p{M}+/gu, "")
    .replace(/ß/g, "ss");
  const spaced = plain
    // eMail and E-Mail are one word.
    .replace(/(?<![a-z])e[-_ ]?mail/gi, (_found, at: number) => (at > 0 ? "_email" : "email"))
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .replace(/([A-Z]+)([A-Z][a-z])/g, "$1_$2");
  return spaced
    .toLowerCase()
    .split(/[^a-z]+/)
    .filter((word) => word !== "");
}

/** As people write it: `customer_email` → Customer email. */
export function humanised(name: string): string {
  const text = name
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replace(/[_\-\s]+/g, " ")
    .trim()
    .toLowerCase();
  return text === "" ? name : `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}
