// Words in column names that suggest personal or secret values, in English, German and French, and exceptions to them.

/** What a column looks like, and the whole words that suggest it. */
export const WORDS: readonly (readonly [string, string])[] = [
  ["an email address", "email emails mail courriel mailadresse emailadresse emailaddress mailaddress emailaddr"],
  [
    "a phone number",
    [
      "phone phones telephone tel telefon telefonnummer telephonenumber phonenumber phonenr telefax fax",
      "faxnumber faxnummer mobile mobil handy handynummer mobiltelefon portable cell cellphone msisdn",
      "rufnummer",
    ].join(" "),
  ],
  [
    "a person's name",
    [
      "firstname lastname surname surnames forename givenname familyname fullname middlename maidenname",
      "vorname nachname familienname geburtsname prenom nomfamille nomcomplet username login benutzername",
      "utilisateur nickname nomdefamille alias pseudo contactname kontaktname ansprechpartner spouse",
    ].join(" "),
  ],
  [
    "an address",
    [
      "address addresses addr adresse adressen anschrift street streetname strasse str rue hausnummer",
      "housenumber zip zipcode postcode postalcode postal plz codepostal wohnort lieu domicile residence",
    ].join(" "),
  ],
  [
    "a date of birth or an age",
    [
      "birthday birthdate birth dob dateofbirth birthyear geburtstag geburtsdatum geboren geburtsort",
      "naissance datenaissance anniversaire age alter",
    ].join(" "),
  ],
  [
    "an official number",
    [
      "ssn socialsecurity socialsecuritynumber sozialversicherungsnummer svnr nino passport passportnumber",
      "reisepass passeport ausweis ausweisnummer personalausweis identitycard nationalid taxid taxnumber",
      "steuernummer steuerid nir licenceplate licenseplate kennzeichen fuehrerschein permis insee idcard",
      "numerodesecuritesociale",
    ].join(" "),
  ],
  [
    "bank or card data",
    [
      "iban bic swift creditcard cardnumber ccnumber cvv cvc kontonummer bankaccount accountnumber",
      "bankverbindung kreditkarte kartennummer cartebancaire pan sortcode routingnumber numerodecompte blz",
      "rib",
    ].join(" "),
  ],
  [
    "health or belief",
    [
      "health diagnosis diagnose diagnostic disease illness krankheit maladie medication allergies allergy",
      "allergie blood bloodtype blutgruppe religion konfession ethnicity ethnic race nationality",
      "nationalitaet nationalite citizenship gender geschlecht sexe sex genre sexuality disability",
      "behinderung handicap marital maritalstatus familienstand situationmaritale pregnancy",
    ].join(" "),
  ],
  [
    "pay",
    "salary salaries wage wages gehalt lohn salaire remuneration income einkommen revenu hourlywage basewage bonus compensation",
  ],
  [
    "a secret",
    [
      "password passwd pwd passwort kennwort motdepasse mdp pass secret secrets token tokens apikey",
      "privatekey accesskey credential credentials hash salt otp totp pin pincode mfa recoverycode session",
      "sessionid cookie signature jwt bearer",
    ].join(" "),
  ],
  [
    "a location or a device",
    [
      "ip lastip clientip remoteip ipaddress ipaddr ipadresse latitude longitude lat lng lon geo gps",
      "geolocation location useragent deviceid imei macaddress fingerprint",
    ].join(" "),
  ],
  [
    "free text",
    [
      "note notes notiz notizen comment comments kommentar bemerkung bemerkungen remarque remarques",
      "commentaire commentaires message messages nachricht body memo freetext beschreibungstext bio",
      "biography anmerkung anmerkungen",
    ].join(" "),
  ],
  ["a picture or a recording", "photo photos picture portrait avatar foto bild selfie signatureimage voice"],
];

/** What a column looks like, and words that suggest it only together. */
export const TOGETHER: readonly (readonly [string, readonly string[]])[] = [
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
  ["a location or a device", ["user", "agent"]],
  ["a location or a device", ["device", "id"]],
  ["a location or a device", ["mac", "address"]],
  ["free text", ["free", "text"]],
];

/** Words for people. `name` alone is a person's name only in a table of people. */
export const PEOPLE = new Set(
  [
    "customer customers client clients kunde kunden person persons people personne personnes user users",
    "employee employees mitarbeiter employe employes staff member members mitglied mitglieder membre membres",
    "contact contacts kontakt kontakte patient patients student students schueler eleve eleves owner owners",
    "lead leads applicant bewerber candidate guest guests gast gaeste author authors passenger driver fahrer",
    "actor artist",
  ]
    .join(" ")
    .split(" "),
);
/** Words for a name. */
export const NAME = new Set(["name", "nom", "names", "noms"]);

/** Prefixes that state a value's type rather than its meaning, which are ignored. */
export const HUNGARIAN = new Set([
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

/** Words that mark a column as a count, which is not personal. */
export const COUNTS = new Set(["count", "counts", "anzahl", "nombre"]);

/** Words that contain one of the listed words but mean something else. */
export const INNOCENT = new RegExp(
  `^(?:${[
    "addressable|invoice[a-z]*|passenger|passengers|passage|messages?count|tokeni[sz]ed|manage[a-z]*|package[a-z]*",
    "page|pages|percentage|average|stage|stages|usage|storage|image|images|language|languages|message[a-z]*id",
    "hashtag|hashtags|agegroup",
  ].join("|")})$`,
);
