// The words by which a column looks personal or secret, in English, German and French, and those that only seem to.

/** Words that mark a name by themselves, as whole words. */
export const WORDS: readonly (readonly [string, string])[] = [
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
  ["where or what somebody was", ["user", "agent"]],
  ["where or what somebody was", ["device", "id"]],
  ["where or what somebody was", ["mac", "address"]],
  ["free text", ["free", "text"]],
];

/** `name` alone is a person's only where the table is of people. */
export const PEOPLE = new Set(
  "customer customers client clients kunde kunden person persons people personne personnes user users employee employees mitarbeiter employe employes staff member members mitglied mitglieder membre membres contact contacts kontakt kontakte patient patients student students schueler eleve eleves owner owners lead leads applicant bewerber candidate guest guests gast gaeste author authors passenger driver fahrer actor artist".split(
    " ",
  ),
);
export const NAME = new Set(["name", "nom", "names", "noms"]);

/** Beginnings that say how a value is stored, not what it is. */
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

/** What a count of them tells is not personal. */
export const COUNTS = new Set(["count", "counts", "anzahl", "nombre"]);

/** Words that hold one of those and mean something else. */
export const INNOCENT =
  /^(?:addressable|invoice[a-z]*|passenger|passengers|passage|messages?count|tokeni[sz]ed|manage[a-z]*|package[a-z]*|page|pages|percentage|average|stage|stages|usage|storage|image|images|language|languages|message[a-z]*id|hashtag|hashtags|agegroup)$/;
