// Words for persons in names of columns and tables, in the languages of personal-words.ts: the roles that people have in business data, such
// as inspector or patient, and the tables that are about people.
import { listForms } from "./words.ts";

/** Roles of persons. A column that ends with one names a person, such as `owner` or `prüfer`. */
export const ROLES: ReadonlySet<string> = listForms(
  [
    "owner author coauthor assignee inspector examiner auditor approver reviewer physician doctor nurse patient",
    "therapist dentist teacher student pupil tutor employee worker staff colleague manager supervisor boss agent",
    "clerk cashier seller salesperson salesrep salesman buyer purchaser requester requestor reporter submitter",
    "creator editor uploader sender recipient receiver consignee payer payee beneficiary policyholder holder insured",
    "lessee landlord resident occupant guest visitor passenger driver courier technician mechanic engineer contact",
    "spouse husband wife guardian sibling witness victim defendant plaintiff lawyer attorney judge notary translator",
    "interpreter applicant candidate interviewer referee donor volunteer subscriber attendee participant organizer",
    "organiser instructor trainer caregiver heir nominee signatory signer user customer client member person people",
    "responsible caretaker kin debtor creditor shareholder founder titular correcteur corrector perito expert notifier caller informant director citizen voter actor artist composer",
    "performer coach player prüfer besitzer eigentümer inhaber halter verfasser autor bearbeiter sachbearbeiter",
    "ersteller genehmiger freigeber gutachter arzt ärztin schüler lehrer mitarbeiter mitarbeiterin vorgesetzter",
    "leiter fahrer kunde kundin käufer verkäufer empfänger absender mieter vermieter bewohner gast zeuge anwalt",
    "richter notar antragsteller bewerber teilnehmer spender vormund ehepartner ehemann ehefrau ansprechpartner",
    "betreuer berater techniker monteur verantwortlicher verantwortliche unterzeichner vertreter benutzer nutzer",
    "mitglied schuldner gläubiger versicherter anrufer melder kontrolleur kontaktperson propriétaire auteur",
    "responsable vérificateur inspecteur contrôleur médecin infirmier infirmière élève étudiant enseignant employé",
    "salarié gérant directeur vendeur acheteur destinataire expéditeur locataire bailleur bénéficiaire témoin avocat",
    "juge notaire demandeur candidat donateur tuteur conjoint époux épouse conducteur chauffeur livreur technicien",
    "interlocuteur signataire rédacteur approbateur validateur personne membre abonné adhérent propietario dueño",
    "revisor aprobador médico paciente enfermero alumno estudiante profesor empleado trabajador gerente vendedor",
    "comprador destinatario remitente inquilino arrendador beneficiario testigo abogado juez notario solicitante",
    "candidato participante donante esposo esposa cliente conductor repartidor técnico firmante contacto encargado",
    "persona miembro proprietario titolare autore ispettore revisore approvatore paziente infermiere studente",
    "insegnante dipendente impiegato responsabile venditore acquirente mittente locatario testimone avvocato giudice",
    "notaio richiedente partecipante donatore genitore coniuge moglie marito utente conducente autista tecnico",
    "firmatario referente incaricato socio proprietário inspetor aprovador enfermeiro aluno professor funcionário",
    "destinatário beneficiário testemunha advogado juiz notário requerente doador cônjuge usuário utilizador",
    "condutor motorista responsável signatário contato pessoa eigenaar keurmeester beoordelaar goedkeurder patiënt",
    "verpleegkundige leerling leraar medewerker werknemer leidinggevende verkoper koper ontvanger afzender huurder",
    "verhuurder houder begunstigde getuige advocaat rechter notaris aanvrager kandidaat deelnemer voogd echtgenoot",
    "gebruiker klant bestuurder verantwoordelijke ondertekenaar contactpersoon behandelaar persoon właściciel",
    "inspektor kontroler recenzent lekarz pacjent pielęgniarka uczeń nauczyciel pracownik kierownik sprzedawca",
    "kupujący odbiorca nadawca najemca wynajmujący posiadacz beneficjent świadek adwokat sędzia notariusz",
    "wnioskodawca kandydat uczestnik darczyńca opiekun rodzic małżonek użytkownik klient kierowca odpowiedzialny",
    "osoba członek sahip sahibi yazar müfettiş denetçi onaylayan doktor hekim hemşire öğrenci öğretmen çalışan",
    "personel yönetici müdür satıcı alıcı gönderen kiracı tanık avukat noter başvuran katılımcı bağışçı kullanıcı",
    "müşteri sürücü şoför teknisyen sorumlu kişi üye ägare författare inspektör granskare läkare sjuksköterska elev",
    "lärare anställd säljare köpare mottagare avsändare hyresgäst hyresvärd innehavare förmånstagare vittne advokat",
    "domare sökande deltagare givare vårdnadshavare förälder maka användare kund förare tekniker ansvarig",
    "undertecknare handläggare medlem",
  ].join(" "),
);

/** Roles that long words may end with, such as `hauptprüfer`. */
export const ROLE_ENDINGS: readonly string[] = [
  ...listForms(
    "prüfer bearbeiter inhaber besitzer eigentümer empfänger verfasser ansprechpartner mitarbeiter betreuer ersteller kontaktperson",
  ),
];

/** Tables of people, in the plural. */
const PEOPLE_TABLES = listForms(
  [
    "customers clients kunden clientes clienti klanten klienci kunder müşteriler persons personnes personas persone",
    "personen osoby kişiler users utilisateurs usuarios utenti usuários gebruikers użytkownicy kullanıcılar",
    "användare employees employés empleados dipendenti funcionários medewerkers pracownicy çalışanlar members",
    "mitglieder membres miembros contacts kontakte contactos contatti kontakt contatos contacten patients patienten",
    "pacientes pazienti pacjenci hastalar students studenten élèves alumnos studenti uczniowie öğrenciler schüler",
    "eleves leads gäste guests applicants bewerber candidates passengers drivers authors owners artists",
    "actors teachers doctors nurses attendees participants subscribers tenants residents donors people players",
    "visitors citizens voters volunteers suppliercontacts logins huéspedes hóspedes ospiti gasten goście misafirler accountants ciudadanos cittadini bürger lehrer ärzte",
  ].join(" "),
);

/** What a table is about when it ends with one of these, although a person comes before: `user_roles`, `customer_segments`. */
const THINGS = listForms(
  [
    "segment segments type types role roles group groups setting settings category categories tag tags event events list lists",
    "permission permissions product products status statuses preference preferences plan plans tier tiers order orders key keys",
    "feature features level levels file files project projects team teams department departments report reports item items",
  ].join(" "),
);

/** Whether a table is about people, by the words of its name. */
export function isTableOfPeople(words: readonly string[]): boolean {
  if (THINGS.has(words.at(-1) ?? "")) return false;
  return words.some((word) => PEOPLE_TABLES.has(word) || isRole(word));
}

/** Whether a word is a role, also in the plural. */
export function isRole(word: string): boolean {
  return ROLES.has(word) || (word.endsWith("s") && ROLES.has(word.slice(0, -1)));
}

/** Words for a name. The name of a person only in a table of people, or beside a role. */
export const NAMES: ReadonlySet<string> = listForms("name names nom noms nome nombre naam namn nazwa navn isim ad");

/** Parts of a person's name, beside a role: `contact_first`. */
export const NAME_PARTS: ReadonlySet<string> = listForms("first last middle given family full maiden surname initial");

/** What is done by or given to a person: `approved_by`, `assigned_to`. */
export const DEEDS: ReadonlySet<string> = listForms(
  [
    "created updated modified changed edited deleted approved reviewed signed checked verified inspected assigned reported requested",
    "submitted entered recorded handled processed owned closed opened issued prepared written uploaded sent received invited referred",
    "packed picked counted authorized authorised examined audited booked cancelled canceled completed confirmed rejected resolved escalated",
    "erstellt geändert bearbeitet genehmigt geprüft freigegeben erfasst angelegt zugewiesen unterschrieben gesendet empfangen",
    "prescribed administered diagnosed treated taught supervised hired promoted trained interviewed delivered installed repaired serviced",
    "créé modifié validé signé approuvé creado modificado aprobado firmado asignado creato modificato approvato firmato assegnato",
    "criado aprovado assinado aangemaakt gewijzigd goedgekeurd ondertekend toegewezen skapad ändrad godkänd utworzone zatwierdzone",
  ].join(" "),
);

/** The words after a deed. */
export const DEED_LINKS: ReadonlySet<string> = listForms("by to von durch an par por a da per door av przez dla");
