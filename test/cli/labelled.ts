// Labelled column names for measuring how well personal columns are detected: three languages, each name in one of six styles, some
// with values. A person labelled them by what such columns contain in practice.

/** A column name with its label. */
interface Labelled {
  readonly table: string;
  readonly words: string;
  readonly isPersonal: boolean;
  readonly values: readonly string[];
}

const row = (table: string, words: string, isPersonal: boolean, values: readonly string[]): Labelled => ({
  table,
  words,
  isPersonal,
  values,
});
const personal = (table: string, names: string): readonly Labelled[] =>
  names.split(", ").map((words) => row(table, words, true, []));
const harmless = (table: string, names: string): readonly Labelled[] =>
  names.split(", ").map((words) => row(table, words, false, []));

export const LABELLED: readonly Labelled[] = [
  // English
  ...personal(
    "customers",
    [
      "name, email, email address, first name, last name, full name, middle name, maiden name, phone",
      "phone number, mobile, fax number, street, street address, address line 1, billing address, zip",
      "zip code, postal code, date of birth, birth date, birthday, dob, age, gender, nationality",
      "marital status, notes, internal comment, contact name, contact email, home phone, password",
      "password hash, salt, avatar url, bio, username, login, nickname",
    ].join(", "),
  ),
  ...personal(
    "employees",
    [
      "salary, base salary, hourly wage, annual bonus, ssn, social security number, passport number",
      "national id, tax id, driver license, license plate, bank account, account number, iban, bic",
      "sort code, credit card, card number, cvv, emergency contact name, spouse name, religion, ethnicity",
      "disability, blood type, diagnosis, allergies, medication, photo, signature",
    ].join(", "),
  ),
  ...personal(
    "logins",
    [
      "ip address, last ip, user agent, device id, mac address, latitude, longitude, geo location",
      "session token, refresh token, api key, private key, access key, client secret, totp secret",
      "recovery code, security answer, pin, cookie",
    ].join(", "),
  ),
  ...harmless(
    "orders",
    [
      "id, order id, customer id, product id, status, order status, total, total cents, currency, quantity",
      "unit price, discount, tax rate, tax amount, placed at, shipped at, created at, updated at, deleted at",
      "is paid, payment method, channel, priority, line number, sku, product code, weight grams",
      "warehouse id, carrier, tracking state, reference, version, row count, page count, page views",
      "percentage, average rating, stage, image count, language, package size, storage class, usage limit",
      "category, description, product name, title, slug, sort order, is active, stock level, reorder point",
      "brand, color, width mm, height mm",
    ].join(", "),
  ),
  ...harmless(
    "shipments",
    [
      "shipment id, region, region code, country, country code, town, city, delivered on, delivery days",
      "parcel count, volume, cost cents, vat rate, invoice number, invoice total, due date, batch number",
      "serial number, model, department, team id, cost center, budget, interval, retries, duration ms",
      "checksum, mime type, file size, width, height, score, rank, vote count, message count, hashtag",
    ].join(", "),
  ),
  // German
  ...personal(
    "kunden",
    [
      "name, vorname, nachname, familienname, geburtsname, geburtsdatum, geburtstag, geburtsort, telefon",
      "telefonnummer, handy, handynummer, mobilnummer, faxnummer, strasse, straße, hausnummer, plz",
      "anschrift, rechnungsadresse, lieferadresse, wohnort, mailadresse, benutzername, passwort, kennwort",
      "kontonummer, bankverbindung, kreditkarte, steuernummer, steuer id, sozialversicherungsnummer",
      "ausweisnummer, reisepass, kennzeichen, gehalt, lohn, einkommen, familienstand, geschlecht, konfession",
      "krankheit, bemerkung, bemerkungen, notiz, ansprechpartner, kundenname, mitarbeitername",
    ].join(", "),
  ),
  ...harmless(
    "bestellungen",
    [
      "bestellnummer, bestelldatum, betrag, gesamtbetrag, menge, artikelnummer, artikelname, einzelpreis",
      "rabatt, mehrwertsteuer, lieferdatum, versandart, zahlungsart, währung, gewicht, lagerort",
      "lagerbestand, kategorie, erstellt am, geändert am, bezeichnung, farbe, breite, status, region, land",
      "anzahl, kunden id, rechnungsnummer, filiale",
    ].join(", "),
  ),
  // French
  ...personal(
    "clients",
    [
      "nom, prénom, nom de famille, nom complet, date de naissance, lieu de naissance, adresse, adresse mail",
      "courriel, rue, code postal, téléphone, téléphone portable, numéro de téléphone, mot de passe",
      "numéro de sécurité sociale, numéro de compte, carte bancaire, salaire, nationalité, sexe",
      "situation maritale, maladie, commentaire, remarque, pseudo, passeport, anniversaire",
    ].join(", "),
  ),
  ...harmless(
    "commandes",
    [
      "numéro de commande, date de commande, montant, montant total, quantité, prix unitaire, remise",
      "taux de tva, date de livraison, mode de paiement, devise, poids, catégorie, libellé, couleur, largeur",
      "statut, région, pays, nombre de pages, stock, créé le, modifié le, client id, facture, magasin",
    ].join(", "),
  ),
  // Detected by their values
  row("t1", "c1", true, ["ann@mail.example", "bob@mail.example"]),
  row("t1", "field 7", true, ["+49 150 1234567", "+33 6 12 34 56 78"]),
  row("t1", "value a", true, ["030-1234567", "040-7654321", "089-5551234"]),
  row("t1", "x", true, ["(555) 123-4567", "(555) 987-6543"]),
  row("t1", "data", true, ["DE89 3704 0044 0532 0130 00", "FR14 2004 1010 0505 0001 3M02 606"]),
  row("t1", "number", true, ["4111 1111 1111 1111", "5500 0000 0000 0004"]),
  row("t1", "code", true, ["123-45-6789", "987-65-4321"]),
  row("t1", "origin", true, ["192.168.0.1", "10.1.2.3", "8.8.8.8"]),
  row("t1", "origin6", true, ["2001:db8:0:0:0:0:0:1", "fe80:0:0:0:0:0:0:2"]),
  row("t1", "info", true, ["Quay Street 1, 11111 Skarrvik", "Rope Road 22, 22222 Marisola"]),
  row("t1", "place", true, ["12 Main Street", "9 Elm Avenue"]),
  row("t1", "hashed", true, ["$2b$10$abcdefghijklmnopqrstuv", "$2b$10$bbcdefghijklmnopqrstuv"]),
  row("t1", "agent", true, ["Mozilla/5.0 (X11; Linux)", "Mozilla/5.0 (Macintosh)"]),
  row("t1", "payload", true, ["eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl", "eyJhbGciOi.eyJzdWIiOj.c2lnbmF0dXJm"]),
  row("t1", "amount", false, ["12.50", "7.00"]),
  row("t1", "day", false, ["2026-01-01", "2026-02-03"]),
  row("t1", "kind", false, ["A", "B", "A"]),
  row("t1", "ref", false, ["SO-10023", "SO-10024"]),
  row("t1", "ean", false, ["12345670", "96385074"]),
  row("t1", "text", false, ["Mooring rope", "Anchor"]),
];

const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);

/** Naming styles: each joins the words of a name. */
export const STYLES: readonly ((words: readonly string[]) => string)[] = [
  (words) => words.join("_"),
  (words) => words.map((word, index) => (index === 0 ? word : capital(word))).join(""),
  (words) => words.map(capital).join(""),
  (words) => words.join("-"),
  (words) => words.join("_").toUpperCase(),
  (words) => words.join(""),
];
