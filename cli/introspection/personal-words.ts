// Words in column names that suggest personal or secret values, in English, German, French, Spanish, Italian, Portuguese, Dutch, Polish,
// Turkish and Swedish, and words that make a name harmless. personal-people.ts has the words for persons.
import { listForms } from "./words.ts";

/** What a column looks like, and the whole words that suggest it; several words are written together. */
export const WORDS: readonly (readonly [string, string])[] = [
  [
    "an email address",
    [
      "email emails mail emailadres emailadresse emailaddress emailaddr mailadresse mailaddress courriel correo",
      "correoelectronico postaelettronica epost epostadress eposta epostaadresi pocztaelektroniczna adresemail",
    ].join(" "),
  ],
  [
    "a phone number",
    [
      "phone phones telephone tel telefon telefonnummer telephonenumber phonenumber phonenr phoneno telefax fax",
      "faxnumber faxnummer mobile mobil handy handynummer mobiltelefon mobilnummer portable cell cellphone msisdn",
      "rufnummer gsm telefono telefone teléfono telefoon telefoonnummer móvil celular cellulare mobiel mobielnummer",
      "telefonu ceptelefonu komórka komórkowy telefonszám whatsapp telemóvel durchwahl",
    ].join(" "),
  ],
  [
    "a person's name",
    [
      "firstname lastname surname surnames forename givenname familyname fullname middlename maidenname vorname",
      "vornamen nachname nachnamen familienname geburtsname rufname zuname prénom prenoms nomfamille nomcomplet",
      "nomdefamille nomusage username login loginname benutzername utilisateur nickname spitzname surnom alias",
      "pseudo pseudonym contactname kontaktname nombrecompleto apellido apellidos cognome cognomi nomecognome",
      "nomecompleto sobrenome apelido apodo voornaam achternaam tussenvoegsel roepnaam imię imiona nazwisko soyad",
      "soyadı soyisim adsoyad adı isim kullanıcıadı förnamn efternamn tilltalsnamn användarnamn gebruikersnaam",
      "nomeutente nombreusuario usuario anrede initials patronymic cardholder accountholder kontoinhaber",
      "karteninhaber titulaire",
    ].join(" "),
  ],
  [
    "a social media account",
    [
      "twitter facebook instagram linkedin skype discord tiktok snapchat mastodon telegram xing handle screenname",
      "gamertag twitterhandle",
    ].join(" "),
  ],
  [
    "an address",
    [
      "address addresses addr adresse adressen anschrift street streetname strasse straße str rue hausnummer",
      "housenumber zip zipcode postcode postalcode postal plz codepostal wohnort lieu domicile residence dirección",
      "domicilio calle códigopostal indirizzo residenza morada endereço endereco rua cep adres adresi straat",
      "straatnaam huisnummer woonplaats woonadres ulica kodpocztowy zamieszkania sokak mahalle postakodu gata",
      "gatuadress postnummer postadress bostad hemadress",
    ].join(" "),
  ],
  [
    "a date of birth or an age",
    [
      "birthday birthdate birth born dob dateofbirth birthyear birthplace geburtstag geburtsdatum geburtsort geboren",
      "gebdat naissance datenaissance anniversaire age alter nacimiento fechanacimiento cumpleaños edad nascita",
      "datanascita luogonascita nascimento datanascimento idade geboortedatum geboorteplaats geboorte leeftijd",
      "urodzenia urodzin dataurodzenia wiek doğum doğumtarihi doğumyeri yaş födelsedatum födelsedag födelseår",
      "födelseort ålder",
    ].join(" "),
  ],
  [
    "an official number",
    [
      "ssn socialsecurity socialsecuritynumber sozialversicherungsnummer svnr rentenversicherungsnummer nino nhs",
      "nhsnumber passport passportnumber passportno passnummer reisepass passeport pasaporte passaporto passaporte",
      "paszport pasaport paspoort ausweis ausweisnummer ausweisnr personalausweis identitycard nationalid taxid",
      "taxnumber tin itin steuernummer steuerid steuernr nir nss licenceplate licenseplate rejestracyjny registreringsnummer mrn plateno numberplate",
      "kennzeichen führerschein driverslicense driverlicense permis insee idcard numerodesecuritesociale dni nif",
      "nie curp codicefiscale cpf rg bsn burgerservicenummer rijbewijs kenteken pesel dowód dowodu dowodosobisty",
      "tckimlik tckimlikno kimlikno kimlik ehliyet plaka personnummer personnr samordningsnummer körkort aadhaar",
      "aadhar personalnummer mitarbeiternummer personnelnumber employeenumber versicherungsnummer",
      "versichertennummer krankenversichertennummer insurancenumber matricule targa seguridadsocial",
      "númeroseguridadsocial",
    ].join(" "),
  ],
  [
    "bank or card data",
    [
      "iban bic swift creditcard creditcardnumber cardnumber cardno cardnr cardlast cclast ccnumber ccnum ccn ccexp",
      "cvv cvc cvn kontonummer kontonr konto bankaccount accountnumber accountno acctno acctnumber bankkonto",
      "bankverbindung bankdaten bankdetails kreditkarte kartennummer kartennr cartebancaire cartecredit",
      "cartedecredit pan sortcode routingnumber routing aba numerodecompte comptebancaire blz rib paypal wallet",
      "walletaddress cuenta cuentabancaria númerocuenta tarjeta númerotarjeta contocorrente numeroconto",
      "cartadicredito numerocarta contabancária numeroconta cartão cartao rekeningnummer bankrekening rekening",
      "kaartnummer creditcardnummer numerkonta kontobankowe numerrachunku rachunek numerkarty hesapno hesapnumarası",
      "kartno kartnumarası bankkonton kortnummer kortnr clearingnummer sepamandate mandatereference mandatsreferenz",
    ].join(" "),
  ],
  [
    "health or belief",
    [
      "health diagnosis diagnoses diagnose diagnosen diagnostic disease illness krankheit krankheiten maladie",
      "medication medications medicine allergies allergy allergie allergien allergène blood bloodtype blutgruppe",
      "religion religious konfession ethnicity ethnic race nationality nationalität nationalité citizenship gender",
      "geschlecht sexe sex sexuality sexualorientation disability behinderung handicap marital maritalstatus",
      "familienstand situationmaritale pregnancy pregnant schwanger schwangerschaft symptom symptoms vaccination",
      "vaccinated impfstatus impfung krankenkasse prescription icd icdcode medical medicalhistory befund santé",
      "salud enfermedad diagnóstico medicamento medicación alergia alergias religión género sexo etnia nacionalidad",
      "discapacidad estadocivil embarazo salute malattia diagnosi farmaco allergia religione genere sesso",
      "nazionalità cittadinanza disabilità statocivile gravidanza saúde doença religião gênero nacionalidade",
      "deficiência gravidez gezondheid ziekte medicatie godsdienst geslacht nationaliteit burgerlijkestaat",
      "zwangerschap bloedgroep zdrowie choroba diagnoza lek leki religia wyznanie płeć narodowość obywatelstwo",
      "niepełnosprawność stancywilny grupakrwi sağlık hastalık tanı teşhis ilaç alerji inanç cinsiyet uyruk engelli",
      "medenihal medenidurum kangrubu hälsa sjukdom diagnos medicin allergi trosbekännelse nationalitet",
      "medborgarskap funktionsnedsättning civilstånd politicalparty tradeunion gewerkschaft",
    ].join(" "),
  ],
  [
    "pay",
    [
      "salary salaries wage wages gehalt gehälter lohn löhne salaire remuneration income einkommen revenu",
      "hourlywage basewage bonus compensation salario sueldo nómina stipendio retribuzione reddito salário",
      "rendimento salaris loon inkomen wynagrodzenie pensja dochód maaş ücret gelir lön inkomst creditscore schufa",
      "bonität",
    ].join(" "),
  ],
  [
    "a secret",
    [
      "password passwords passwd pwd passcode passphrase passwort kennwort motdepasse mdp pass secret secrets token",
      "tokens apikey apikeys apitoken apisecret privatekey accesskey secretkey signingkey encryptionkey sshkey",
      "credential credentials salt otp totp pin pincode mfa recoverycode accesscode securitycode verificationcode",
      "backupcode resetcode activationcode doorcode gatecode entrycode authcode unlockcode session sessionid cookie",
      "signature jwt bearer hash zugangscode zugangsdaten zugangscodes türcode geheimnis codeacces codesecret",
      "contraseña clave senha palavrapasse codicesegreto wachtwoord toegangscode hasło koddostępu kodpin şifre",
      "parola lösenord passord åtkomstkod webhooksecret clientsecret",
    ].join(" "),
  ],
  [
    "a location or a device",
    [
      "ip ips lastip clientip remoteip ipaddress ipaddr ipadresse ipadres iphash adresseip latitude longitude lat",
      "lng lon geo gps geolocation geohash coordinates coords koordinaten coordonnées coordenadas coordinate",
      "breitengrad längengrad latitud longitud latitudine longitudine breedtegraad lengtegraad szerokość enlem",
      "boylam useragent deviceid devicetoken pushtoken imei imsi iccid macaddress macaddr fingerprint idfa gaid",
      "advertisingid",
    ].join(" "),
  ],
  [
    "free text",
    [
      "note notes notiz notizen comment comments kommentar kommentare bemerkung bemerkungen remark remarks remarque",
      "remarques commentaire commentaires message messages nachricht nachrichten body memo memos freetext freitext",
      "beschreibungstext bio biography anmerkung anmerkungen feedback complaint complaints beschwerde transcript",
      "testimonial annotation annotations observación observaciones observation observations comentario comentarios",
      "nota notas mensaje osservazione osservazioni commento commenti messaggio observação observações comentário",
      "comentários mensagem opmerking opmerkingen notitie notities toelichting bericht uwaga uwagi komentarz",
      "komentarze notatka notatki wiadomość yorum yorumlar notlar mesaj anteckning anteckningar anmärkning",
      "anmärkningar meddelande gesprächsnotiz aktennotiz",
    ].join(" "),
  ],
  [
    "a picture or a recording",
    [
      "photo photos picture portrait avatar foto fotos bild selfie signatureimage voice photograph fotografia",
      "retrato zdjęcie fotoğraf biometric biometrics faceid voiceprint",
    ].join(" "),
  ],
];

/** What a column looks like, and words that suggest it in any order and with others between them. */
export const TOGETHER: readonly (readonly [string, string])[] = [
  ["a person's name", "first name"],
  ["a person's name", "last name"],
  ["a person's name", "full name"],
  ["a person's name", "given name"],
  ["a person's name", "family name"],
  ["a person's name", "middle name"],
  ["a person's name", "maiden name"],
  ["a person's name", "display name"],
  ["a person's name", "nom famille"],
  ["a person's name", "account holder"],
  ["an address", "shipping zip"],
  ["an address", "billing zip"],
  ["an official number", "social security"],
  ["an official number", "driver license"],
  ["an official number", "driving licence"],
  ["an official number", "license plate"],
  ["an official number", "numero securite"],
  ["bank or card data", "card last"],
  ["bank or card data", "card number"],
  ["bank or card data", "card expiry"],
  ["bank or card data", "credit card"],
  ["bank or card data", "debit card"],
  ["bank or card data", "account iban"],
  ["bank or card data", "konto nummer"],
  ["bank or card data", "numero compte"],
  ["bank or card data", "carte bancaire"],
  ["bank or card data", "numero carte"],
  ["a secret", "security answer"],
  ["a secret", "security question"],
  ["a secret", "mot passe"],
  ["a secret", "key hash"],
  ["health or belief", "medical record"],
  ["health or belief", "reason visit"],
  ["free text", "gift message"],
  ["free text", "personal message"],
  ["free text", "customer message"],
  ["free text", "special instructions"],
  ["free text", "delivery instructions"],
];

/** Little words inside names, which count for nothing: `date_of_birth`, `mot_de_passe`. */
export const LINKS = listForms("of the de du des di del della da do dos van der den la le el für pour para per af");

/**
 * Words with an everyday meaning in business data. They count only as a whole name in a table of people or of secrets, or beside the name
 * of a role.
 */
export const WEAK = listForms(
  [
    "hash session sessions pass alias race handle routing portable cell rua lek leki konto pan rg nota notas bonus tin aba plaka",
    "wallet lieu sex genre rib permis cep zip maka body message messages location coordinates fingerprint picture",
    "bonus observation observations rekening rachunek twitter facebook instagram linkedin xing wage routing age alter pseudo",
  ].join(" "),
);

/** Tables of secrets, in which even `key` and `value` are secret. */
export const SECRET_TABLES = listForms(
  "secret secrets credential credentials password passwords token tokens apikey apikeys vault",
);
export const SECRET_COLUMNS = listForms("key value secret hash code plaintext data token");

/** Last words that say something about a value instead of holding it: `email_verified`, `phone_type`, `password_changed_at`. */
export const ABOUT = listForms(
  [
    "verified confirmed valid enabled disabled required format template length size version kind category class consent flag policy",
    "expiry expires expired expiration attempts level label type typ tipo status state statut stato estado count at on date datum datetime",
    "time timestamp year jahr month day optin optout provider source method count language model index score rate limit ttl bytes domain",
    "visible hidden read sent delivered opened bounced allowed preference preferences setting settings reason rule check",
  ].join(" "),
);

/** Prefixes that state a value's type rather than its meaning, which are ignored. */
export const HUNGARIAN = listForms("str txt vch int dt num fld col s n sz nvarchar varchar char");

/** Words that mark a column as a count, which is not personal. */
export const COUNTS = listForms("count counts anzahl total totals");

/** Words that contain one of the listed words but mean something else. */
export const INNOCENT = new RegExp(
  `^(?:${[
    "addressable|invoice[a-z]*|passenger|passengers|passage|messages?count|tokeni[sz]ed|manage[a-z]*|package[a-z]*",
    "page|pages|percentage|average|stage|stages|usage|storage|image|images|language|languages|message[a-z]*id",
    "[a-z]+idade|hashtag|hashtags|agegroup|altern[a-z]*|automobile[a-z]*|mobility|remark(?:et|able)[a-z]*|healthcheck[a-z]*|diagnostics",
    "notebook[a-z]*|keynotes?|footnotes?|photovoltaic[a-z]*|telephony|streetwear|genders?neutral|addresse[sd]?type|wagen[a-z]*",
  ].join("|")})$`,
);
