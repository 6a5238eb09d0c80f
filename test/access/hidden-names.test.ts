// What a user may not know, by every way out: the name of a key column that is hidden, and the rules that deny. The record has both.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { defineGatehouse, mask } from "../../src/config.ts";
import type { GatehouseInput } from "../../src/config.ts";
import { AppError } from "../../src/errors.ts";
import { tokenOf } from "../../src/sources/tokens.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { TOKEN_KEY } from "../support/governed.ts";

const TEXT = { type: "text", description: "Text" } as const;
const NUMBER = { type: "integer", description: "Number" } as const;

type Rules = GatehouseInput["roles"][string]["rules"];

const PATIENTS = ["clinic.patients"];
const ALL: Rules[number] = { action: "read", datasets: ["clinic.*", "papers"] };
const TOKENED: Rules[number] = {
  action: "read",
  datasets: PATIENTS,
  masks: { email: mask.token("email") },
  reveal: ["email"],
};
const DENIED_COLUMN: Rules[number] = { effect: "deny", action: "read", datasets: PATIENTS, columns: ["ssn"] };
const DENIED_TABLE: Rules[number] = { effect: "deny", action: "read", datasets: ["clinic.audits"] };

/** One reader with the role of these rules, and one more role that only denies. */
function world(rules: Rules, denials: Rules = []) {
  return gatewayFor(
    defineGatehouse({
      organisation: { name: "T", contact: "T" },
      sources: {
        clinic: {
          kind: "d1",
          binding: "SHOP_DB",
          title: "Clinic",
          description: "Clinic",
          tables: {
            patients: {
              description: "Patients",
              key: "ssn",
              columns: { ssn: TEXT, name: TEXT, email: TEXT, town: TEXT },
            },
            visits: {
              description: "Visits",
              key: "id",
              columns: {
                id: NUMBER,
                patient: { ...TEXT, references: "patients.ssn" },
                audit: { ...NUMBER, references: "audits.number" },
              },
            },
            audits: { description: "Audits", key: "number", columns: { number: NUMBER, finding: TEXT } },
          },
        },
        papers: { kind: "kv", binding: "HANDBOOK", title: "Papers", description: "Papers" },
      },
      queries: { towns: { description: "Towns", source: "clinic", sql: "SELECT town FROM patients" } },
      roles: {
        reader: { description: "Reads", queries: ["towns"], rules },
        kept: { description: "Keeps away", rules: denials },
      },
      members: [{ email: "reader@harbor.example", name: "R", roles: ["reader", "kept"] }],
    }),
  );
}

type Gateway = ReturnType<typeof world>;
type Caller = ReturnType<typeof callerAs>;

const ask = (sql: string, source = "clinic") => ({ what: { source, sql }, params: [], limit: undefined });

/** Every way out of the gateway, and what it gives or says against it. */
const WAYS: readonly (readonly [string, (gateway: Gateway, caller: Caller) => Promise<unknown>])[] = [
  ["describe all", (gateway, caller) => gateway.describe(caller, undefined)],
  ["describe a source", (gateway, caller) => gateway.describe(caller, "clinic")],
  ["describe a table", (gateway, caller) => gateway.describe(caller, "clinic.patients")],
  ["describe a table that refers to it", (gateway, caller) => gateway.describe(caller, "clinic.visits")],
  ["describe a denied table", (gateway, caller) => gateway.describe(caller, "clinic.audits")],
  ["describe the workspace", (gateway, caller) => gateway.describe(caller, "workspace")],
  ["describe a result", (gateway, caller) => gateway.describe(caller, "r1")],
  ["describe a result of results", (gateway, caller) => gateway.describe(caller, "r2")],
  ["describe documents", (gateway, caller) => gateway.describe(caller, "papers")],
  ["fetch a table", (gateway, caller) => gateway.fetch(caller, "clinic.patients", 1)],
  ["fetch a table that refers to it", (gateway, caller) => gateway.fetch(caller, "clinic.visits", 1)],
  ["fetch a row by the key", (gateway, caller) => gateway.fetch(caller, "clinic.patients/123-45", 1)],
  ["fetch a row that is not there", (gateway, caller) => gateway.fetch(caller, "clinic.patients/nothing", 1)],
  ["fetch a row that refers to it", (gateway, caller) => gateway.fetch(caller, "clinic.visits/1", 1)],
  ["fetch a row of a denied table", (gateway, caller) => gateway.fetch(caller, "clinic.audits/1", 1)],
  ["fetch a result", (gateway, caller) => gateway.fetch(caller, "r1", 1)],
  ["fetch a saved query", (gateway, caller) => gateway.fetch(caller, "towns", 1)],
  ["fetch a document", (gateway, caller) => gateway.fetch(caller, "papers/plain.md", 1)],
  ["fetch documents", (gateway, caller) => gateway.fetch(caller, "papers", 1)],
  ["read a table", (gateway, caller) => gateway.readResource(caller, "gatehouse://dataset/clinic/patients")],
  ["read a row", (gateway, caller) => gateway.readResource(caller, "gatehouse://dataset/clinic/patients/123-45")],
  ["read a result", (gateway, caller) => gateway.readResource(caller, "gatehouse://result/r1")],
  ["list resources", (gateway, caller) => gateway.listResources(caller)],
  ["introduce", (gateway, caller) => gateway.introduce(caller)],
  ["search for a table", (gateway, caller) => gateway.search(caller, "patients", 20)],
  ["search for anything", (gateway, caller) => gateway.search(caller, "number text visits towns", 20)],
  ["query", (gateway, caller) => gateway.query(caller, ask("SELECT * FROM patients"))],
  ["query two tables", (gateway, caller) => gateway.query(caller, ask("SELECT * FROM patients, visits"))],
  ["query the workspace", (gateway, caller) => gateway.query(caller, ask("SELECT * FROM r1", "workspace"))],
  ["query a column that is not there", (gateway, caller) => gateway.query(caller, ask("SELECT ss FROM patients"))],
  ["query a table that is not there", (gateway, caller) => gateway.query(caller, ask("SELECT * FROM audit"))],
  ["query the order of rows", (gateway, caller) => gateway.query(caller, ask("SELECT rowid FROM patients"))],
  [
    "run a saved query",
    (gateway, caller) => gateway.query(caller, { what: { saved: "towns" }, params: [], limit: undefined }),
  ],
  ["complete tables", (gateway, caller) => gateway.complete(caller, { kind: "table", source: "clinic", prefix: "" })],
  [
    "complete datasets",
    (gateway, caller) => gateway.complete(caller, { kind: "dataset", source: undefined, prefix: "" }),
  ],
];

async function said(work: Promise<unknown>): Promise<string> {
  try {
    return JSON.stringify(await work);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return `${error.code}: ${error.publicMessage}`;
  }
}

async function recordOf(caller: Caller): Promise<string> {
  const ledger = env.LEDGER.get(env.LEDGER.idFromName(caller.identity.subjectId));
  return (await ledger.records(0, 100)).map(({ body }) => body).join("\n");
}

beforeAll(async () => {
  await env.SHOP_DB.batch(
    [
      "CREATE TABLE patients (ssn TEXT PRIMARY KEY COLLATE NOCASE, name TEXT, email TEXT, town TEXT)",
      "CREATE TABLE visits (id INTEGER PRIMARY KEY, patient TEXT, audit INTEGER)",
      "CREATE TABLE audits (number INTEGER PRIMARY KEY, finding TEXT)",
      "INSERT INTO patients VALUES ('123-45', 'Ann', 'ann@x.example', 'Oslo'), ('ab-9', 'Bo', 'bo@x.example', 'Rome')",
      "INSERT INTO visits VALUES (1, 'p', 1)",
    ].map((sql) => env.SHOP_DB.prepare(sql)),
  );
  await env.HANDBOOK.put("plain.md", "# Plain");
});

describe.each<[string, Rules, Rules]>([
  [
    "hidden by the rule that grants",
    [
      { action: "read", datasets: PATIENTS, hidden: ["ssn"] },
      { action: "read", datasets: ["clinic.visits", "papers"] },
    ],
    [],
  ],
  ["denied by a rule of the same role", [ALL, DENIED_COLUMN, DENIED_TABLE], []],
  ["denied by a rule of another role", [ALL], [DENIED_COLUMN, DENIED_TABLE]],
])("a key column that is %s", (_name, rules, denials) => {
  it.each(WAYS)("%s names neither it nor a rule that denies", async (_way, take) => {
    const [gateway, caller] = [world(rules, denials), callerAs("reader@harbor.example")];
    await gateway.query(caller, ask("SELECT * FROM patients"));
    await gateway.query(caller, ask("SELECT count(*) FROM r1", "workspace"));
    const text = await said(take(gateway, caller));
    expect(text).not.toMatch(/ssn|\/deny\/|kept\/|audits\.|number:/);
  });
});

describe("the record", () => {
  it("names the rules that denied, where answers name those that granted alone", async () => {
    const [gateway, caller] = [world([ALL, DENIED_COLUMN]), callerAs("reader@harbor.example")];
    const granting = ["reader/allow/read/clinic.patients"];
    const both = ["reader/deny/read/clinic.patients", ...granting];
    const outcomes: unknown[] = [];
    for (const work of [
      () => gateway.describe(caller, "clinic.patients"),
      () => gateway.query(caller, ask("SELECT name FROM patients")),
      () => gateway.describe(caller, "r1"),
      () => gateway.query(caller, ask("SELECT * FROM r1", "workspace")),
    ])
      expect(await work()).toMatchObject({ rules: granting });
    for (const work of [
      () => gateway.fetch(caller, "clinic.patients", 1),
      () => gateway.fetch(caller, "r1", 1),
      () => gateway.fetch(caller, "r2", 1),
    ])
      expect((await work()).metadata).toMatchObject({ rules: granting });
    const ledger = env.LEDGER.get(env.LEDGER.idFromName(caller.identity.subjectId));
    for (const { body } of await ledger.records(0, 100)) outcomes.push(JSON.parse(body).outcome.rules);
    expect(outcomes).toEqual(Array.from({ length: 7 }, () => both));
  });

  it("names the rules that denied with a masking token that was exchanged", async () => {
    const [gateway, caller] = [world([TOKENED, DENIED_COLUMN]), callerAs("reader@harbor.example")];
    await gateway.query(caller, ask("SELECT email FROM patients"));
    if (TOKEN_KEY === null) throw new Error("no key");
    const answer = await gateway.fetch(caller, tokenOf(TOKEN_KEY, "email", "ann@x.example"), 1);
    expect(answer).toMatchObject({ text: "ann@x.example", metadata: { rules: ["reader/allow/read/clinic.patients"] } });
    expect(JSON.stringify(answer)).not.toContain("/deny/");
    expect((await recordOf(caller)).split("\n").at(-1)).toContain("reader/deny/read/clinic.patients");
  });

  it("says why a row by a hidden key was refused, which the answer does not", async () => {
    const [gateway, caller] = [world([ALL, DENIED_COLUMN]), callerAs("reader@harbor.example")];
    const hidden = await said(gateway.fetch(caller, "clinic.patients/123-45", 1));
    const missing = await said(gateway.fetch(caller, "clinic.visits/123-45", 1));
    expect(hidden.replaceAll("patients", "visits")).toBe(missing);
    expect(await recordOf(caller)).toContain('"denials":["clinic.patients.ssn: hidden"]');
  });
});

describe("a key column that the user sees", () => {
  it("is named, and rows are fetched by it, where it comes in clear", async () => {
    const [gateway, caller] = [world([ALL]), callerAs("reader@harbor.example")];
    expect(await gateway.describe(caller, "clinic.patients")).toMatchObject({ key: "ssn" });
    expect((await gateway.fetch(caller, "clinic.patients", 1)).text).toContain(
      "A row is fetched as clinic.patients/<ssn>.",
    );
    expect((await gateway.fetch(caller, "clinic.patients/123-45", 1)).text).toContain("Ann");
    expect(await gateway.describe(caller, "clinic.visits")).toMatchObject({
      columns: [{ name: "id" }, { name: "patient", references: "patients.ssn" }, { name: "audit" }],
    });
  });

  it("is named as the key but not to fetch rows by where it is masked", async () => {
    const masked: Rules = [{ action: "read", datasets: PATIENTS, masks: { ssn: mask.last(2) } }];
    const [gateway, caller] = [world(masked), callerAs("reader@harbor.example")];
    expect(await gateway.describe(caller, "clinic.patients")).toMatchObject({ key: "ssn" });
    expect((await gateway.fetch(caller, "clinic.patients", 1)).text).not.toContain("A row is fetched");
    expect(await said(gateway.fetch(caller, "clinic.patients/123-45", 1))).toMatch(/^not_found/);
  });

  it("fetches the row that has exactly this key, where the database calls others equal", async () => {
    const [gateway, caller] = [world([ALL]), callerAs("reader@harbor.example")];
    expect((await gateway.fetch(caller, "clinic.patients/ab-9", 1)).text).toContain("Bo");
    expect(await said(gateway.fetch(caller, "clinic.patients/AB-9", 1))).toMatch(/^not_found/);
  });
});
