// Which columns look personal or secret, by their names (English, German, French) and by what their values look like. It
// errs towards marking: what is marked by mistake a person opens with one word.
import { wordsOf } from "./words.ts";

/** Why a column is marked; undefined when it does not look personal. */
export type Reason = string;

/** Words that mark a name by themselves, as whole words. */
const WORDS: readonly (readonly [Reason, string])[] = [
  ["an email address", "email emails mail courriel mailadresse emailadresse emailaddress mailaddress emailaddr"],
  [
    "a phone number",
    "phone phones telephone tel telefon telefonnummer telephonenumber phonenumber phonenr telefax fax faxnumber faxnummer mobile mobil handy handynummer mobiltelefon portable cell cellphone msisdn rufnummer",
  ],
  [
    "a person's name",
    "firstname lastname surname surnames forename givenname familyname fullname middlename maidenname vorname nachname familienname geburtsname prenom nomfamille nomcomplet username login benutzername utilisateur nickname nomdefamille alias pseudo contactname kontaktname ansprechpartner spouse",
  ],
  [
    "an address",
    "address addresses addr adresse adressen anschrift street streetname strasse str rue hausnummer housenumber zip zipcode postcode postalcode postal plz codepostal wohnort lieu domicile residence",
  ],
  [
    "a date of birth or an age",
    "birthday birthdate birth dob dateofbirth birthyear geburtstag geburtsdatum geboren geburtsort naissance datenaissance anniversaire age alter",
  ],
  [
    "an official number",
    "ssn socialsecurity socialsecuritynumber sozialversicherungsnummer svnr nino passport passportnumber reisepass passeport ausweis ausweisnummer personalausweis identitycard nationalid taxid taxnumber steuernummer steuerid nir licenceplate licenseplate kennzeichen fuehrerschein permis insee idcard numerodesecuritesociale",
  ],
  [
    "bank or card data",
    "iban bic swift creditcard cardnumber ccnumber cvv cvc kontonummer bankaccount accountnumber bankverbindung kreditkarte kartennummer cartebancaire pan sortcode routingnumber numerodecompte blz rib",
  ],
  [
    "health or belief",
    "health diagnosis diagnose diagnostic disease illness krankheit maladie medication allergies allergy allergie blood bloodtype blutgruppe religion konfession ethnicity ethnic race nationality nationalitaet nationalite citizenship gender geschlecht sexe sex genre sexuality disability behinderung handicap marital maritalstatus familienstand situationmaritale pregnancy",
  ],
  [
    "pay",
    "salary salaries wage wages gehalt lohn salaire remuneration income einkommen revenu hourlywage basewage bonus compensation",
  ],
  [
    "a secret",
    "password passwd pwd passwort kennwort motdepasse mdp pass secret secrets token tokens apikey privatekey accesskey credential credentials hash salt otp totp pin pincode mfa recoverycode session sessionid cookie signature jwt bearer",
  ],
  [
    "where or what somebody was",
    "ip lastip clientip remoteip ipaddress ipaddr ipadresse latitude longitude lat lng lon geo gps geolocation location useragent deviceid imei macaddress fingerprint",
  ],
  [
    "free text",
    "note notes notiz notizen comment comments kommentar bemerkung bemerkungen remarque remarques commentaire commentaires message messages nachricht body memo freetext beschreibungstext bio biography anmerkung anmerkungen",
  ],
  ["a picture or a recording", "photo photos picture portrait avatar foto bild selfie signatureimage voice"],
];

/** Words that mark a name together. */
const TOGETHER: readonly (readonly [Reason, readonly string[]])[] = [
  ["a person's name", ["first", "name"]],
  ["a person's name", ["last", "name"]],
  ["a person's name", ["full", "name"]],
  ["a person's name", ["given", "name"]],
  ["a person's name", ["family", "name"]],
  ["a person's name", ["middle", "name"]],
  ["a person's name", ["maiden", "name"]],
  ["a person's name", ["display", "name"]],
  ["a person's name", ["contact", "name"]],
  ["a person's name", ["user", "name"]],
  ["a person's name", ["nom", "famille"]],
  ["a date of birth or an age", ["birth"]],
  ["an address", ["postal", "code"]],
  ["an address", ["code", "postal"]],
  ["an address", ["house", "number"]],
  ["an official number", ["social", "security"]],
  ["an official number", ["national", "id"]],
  ["an official number", ["tax", "id"]],
  ["an official number", ["tax", "number"]],
  ["an official number", ["driver", "license"]],
  ["an official number", ["driving", "licence"]],
  ["an official number", ["license", "plate"]],
  ["an official number", ["numero", "securite"]],
  ["an official number", ["identity", "card"]],
  ["bank or card data", ["card", "number"]],
  ["bank or card data", ["credit", "card"]],
  ["bank or card data", ["account", "number"]],
  ["bank or card data", ["bank", "account"]],
  ["bank or card data", ["account", "holder"]],
  ["bank or card data", ["konto", "nummer"]],
  ["bank or card data", ["numero", "compte"]],
  ["bank or card data", ["carte", "bancaire"]],
  ["bank or card data", ["numero", "carte"]],
  ["a secret", ["api", "key"]],
  ["a secret", ["private", "key"]],
  ["a secret", ["access", "key"]],
  ["a secret", ["security", "answer"]],
  ["a secret", ["security", "question"]],
  ["a secret", ["mot", "passe"]],
  ["a secret", ["recovery", "code"]],
  ["health or belief", ["blood", "type"]],
  ["where or what somebody was", ["user", "agent"]],
  ["where or what somebody was", ["device", "id"]],
  ["where or what somebody was", ["mac", "address"]],
  ["free text", ["free", "text"]],
];

/** `name` alone is a person's only where the table is of people. */
const PEOPLE = new Set(
  "customer customers client clients kunde kunden person persons people personne personnes user users employee employees mitarbeiter employe employes staff member members mitglied mitglieder membre membres contact contacts kontakt kontakte patient patients student students schueler eleve eleves owner owners lead leads applicant bewerber candidate guest guests gast gaeste author authors passenger driver fahrer actor artist".split(
    " ",
  ),
);
const NAME = new Set(["name", "nom", "names", "noms"]);

/** Beginnings that say how a value is stored, not what it is. */
const HUNGARIAN = new Set([
  "str",
  "txt",
  "vch",
  "int",
  "dt",
  "num",
  "fld",
  "col",
  "s",
  "n",
  "sz",
  "nvarchar",
  "varchar",
  "char",
]);

const BY_WORD = new Map(WORDS.flatMap(([reason, words]) => words.split(" ").map((word) => [word, reason] as const)));

/** What a count of them tells is not personal. */
const COUNTS = new Set(["count", "counts", "anzahl", "nombre"]);

/** Words that are long enough to be found in a name that is written in one piece: `custemail`, `kundentelefon`. */
const INSIDE = [...BY_WORD].filter(([word]) => word.length >= 5);

/** Words that hold one of those and mean something else. */
const INNOCENT =
  /^(?:addressable|invoice[a-z]*|passenger|passengers|passage|messages?count|tokeni[sz]ed|manage[a-z]*|package[a-z]*|page|pages|percentage|average|stage|stages|usage|storage|image|images|language|languages|message[a-z]*id|hashtag|hashtags|agegroup)$/;

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
