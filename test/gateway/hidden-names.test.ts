// No operation reveals the name of a hidden key column or a rule that denies. The audit record has both.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { mask } from "../../src/config/define-gatehouse.ts";
import { AppError } from "../../src/errors.ts";
import { deriveMaskingToken } from "../../src/masking-tokens/masking-token-store.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { TOKEN_KEY } from "../support/governed.ts";
import { NUMBER, TEXT, allow, buildPolicy, deny, key } from "../support/policy-builder.ts";
import type { Rule } from "../support/policy-builder.ts";

const PATIENTS = "clinic.patients";
const ALL = allow(["clinic.*", "papers"]);
const TOKENIZED = allow(PATIENTS, { masks: { email: mask.token("email") }, reveal: ["email"] });
const DENIED_COLUMN = deny(PATIENTS, ["ssn"]);
const DENIED_TABLE = deny("clinic.audits");

/** One user with a role of these rules, and with a second role that only denies. */
function world(rules: readonly Rule[], denials: readonly Rule[] = []) {
  return gatewayFor(
    buildPolicy({
      organisation: { name: "T", contact: "T" },
      sources: {
        clinic: {
          binding: "SHOP_DB",
          tables: {
            patients: { ssn: key(TEXT), name: TEXT, email: TEXT, town: TEXT },
            visits: {
              id: key(NUMBER),
              patient: { ...TEXT, references: "patients.ssn" },
              audit: { ...NUMBER, references: "audits.number" },
            },
            audits: { number: key(NUMBER), finding: TEXT },
            stays: { town: TEXT },
          },
        },
        papers: { binding: "HANDBOOK" },
      },
      queries: { towns: { description: "Towns", source: "clinic", sql: "SELECT town FROM patients" } },
      roles: { reader: { queries: ["towns"], rules }, denier: denials },
      members: { reader: ["reader", "denier"] },
    }),
  );
}

type Gateway = ReturnType<typeof world>;
type Caller = ReturnType<typeof callerAs>;

const ask = (sql: string, source = "clinic") => ({ target: { source, sql }, params: [], rowLimit: undefined });

/** Every operation of the gateway that could reveal a name. */
const OPERATIONS: readonly (readonly [string, (gateway: Gateway, caller: Caller) => Promise<unknown>])[] = [
  ["describe all", (gateway, caller) => gateway.describe(caller, undefined)],
  ["describe a source", (gateway, caller) => gateway.describe(caller, "clinic")],
  ["describe a table", (gateway, caller) => gateway.describe(caller, "clinic.patients")],
  ["describe a table with a reference to it", (gateway, caller) => gateway.describe(caller, "clinic.visits")],
  ["describe a denied table", (gateway, caller) => gateway.describe(caller, "clinic.audits")],
  ["describe the workspace", (gateway, caller) => gateway.describe(caller, "workspace")],
  ["describe a result", (gateway, caller) => gateway.describe(caller, "r1")],
  ["describe a result of results", (gateway, caller) => gateway.describe(caller, "r2")],
  ["describe documents", (gateway, caller) => gateway.describe(caller, "papers")],
  ["fetch a table", (gateway, caller) => gateway.fetch(caller, "clinic.patients", 1)],
  ["fetch a table with a reference to it", (gateway, caller) => gateway.fetch(caller, "clinic.visits", 1)],
  ["fetch a row by the key", (gateway, caller) => gateway.fetch(caller, "clinic.patients/123-45", 1)],
  ["fetch a missing row", (gateway, caller) => gateway.fetch(caller, "clinic.patients/nothing", 1)],
  ["fetch a row with a reference to it", (gateway, caller) => gateway.fetch(caller, "clinic.visits/1", 1)],
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
  ["query a missing column", (gateway, caller) => gateway.query(caller, ask("SELECT ss FROM patients"))],
  ["query a missing table", (gateway, caller) => gateway.query(caller, ask("SELECT * FROM audit"))],
  ["query the order of rows", (gateway, caller) => gateway.query(caller, ask("SELECT rowid FROM patients"))],
  [
    "run a saved query",
    (gateway, caller) => gateway.query(caller, { target: { saved: "towns" }, params: [], rowLimit: undefined }),
  ],
  ["complete tables", (gateway, caller) => gateway.complete(caller, { kind: "table", source: "clinic", prefix: "" })],
  [
    "complete datasets",
    (gateway, caller) => gateway.complete(caller, { kind: "dataset", source: undefined, prefix: "" }),
  ],
];

async function readOutcome(work: Promise<unknown>): Promise<string> {
  try {
    return JSON.stringify(await work);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return `${error.code}: ${error.publicMessage}`;
  }
}

async function readRecord(caller: Caller): Promise<string> {
  const ledger = env.LEDGER.get(env.LEDGER.idFromName(caller.identity.subjectId));
  return (await ledger.listRecords(0, 100)).map(({ body }) => body).join("\n");
}

beforeAll(async () => {
  await env.SHOP_DB.batch(
    [
      "CREATE TABLE patients (ssn TEXT PRIMARY KEY COLLATE NOCASE, name TEXT, email TEXT, town TEXT)",
      "CREATE TABLE visits (id INTEGER PRIMARY KEY, patient TEXT, audit INTEGER)",
      "CREATE TABLE audits (number INTEGER PRIMARY KEY, finding TEXT)",
      "CREATE TABLE stays (town TEXT)",
      "INSERT INTO patients VALUES ('123-45', 'Ann', 'ann@x.example', 'Oslo'), ('ab-9', 'Bo', 'bo@x.example', 'Rome')",
      "INSERT INTO visits VALUES (1, 'p', 1)",
    ].map((sql) => env.SHOP_DB.prepare(sql)),
  );
  await env.HANDBOOK.put("plain.md", "# Plain");
});

describe.each<[string, readonly Rule[], readonly Rule[]]>([
  ["hidden by the rule that grants", [allow(PATIENTS, { hidden: ["ssn"] }), allow(["clinic.visits", "papers"])], []],
  ["denied by a rule of the same role", [ALL, DENIED_COLUMN, DENIED_TABLE], []],
  ["denied by a rule of another role", [ALL], [DENIED_COLUMN, DENIED_TABLE]],
])("a key column %s", (_name, rules, denials) => {
  it.each(OPERATIONS)("is not revealed by %s, nor is the rule that denies it", async (_operation, run) => {
    const [gateway, caller] = [world(rules, denials), callerAs("reader@harbor.example")];
    await gateway.query(caller, ask("SELECT * FROM patients"));
    await gateway.query(caller, ask("SELECT count(*) FROM r1", "workspace"));
    const text = await readOutcome(run(gateway, caller));
    expect(text).not.toMatch(/ssn|\/deny\/|denier\/|audits\.|number:/);
  });
});

describe("the audit record", () => {
  it("names denying rules, while answers name only granting rules", async () => {
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
    for (const { body } of await ledger.listRecords(0, 100)) outcomes.push(JSON.parse(body).outcome.rules);
    expect(outcomes).toEqual(Array.from({ length: 7 }, () => both));
  });

  it("names denying rules when a masking token is exchanged", async () => {
    const [gateway, caller] = [world([TOKENIZED, DENIED_COLUMN]), callerAs("reader@harbor.example")];
    await gateway.query(caller, ask("SELECT email FROM patients"));
    if (TOKEN_KEY === null) throw new Error("no key");
    const answer = await gateway.fetch(caller, deriveMaskingToken(TOKEN_KEY, "email", "ann@x.example"), 1);
    expect(answer).toMatchObject({ text: "ann@x.example", metadata: { rules: ["reader/allow/read/clinic.patients"] } });
    expect(JSON.stringify(answer)).not.toContain("/deny/");
    expect((await readRecord(caller)).split("\n").at(-1)).toContain("reader/deny/read/clinic.patients");
  });

  it("says that the key is hidden when a row is refused, while the answer is that of a table without a key", async () => {
    const [gateway, caller] = [world([ALL, DENIED_COLUMN]), callerAs("reader@harbor.example")];
    const answerFor = (table: string): string =>
      `not_found: Rows of ${table} have no id here, because it shows no key. ` +
      `Read them with query: SELECT * FROM ${table.replace("clinic.", "")} WHERE …`;
    expect(await readOutcome(gateway.fetch(caller, "clinic.patients/123-45", 1))).toBe(answerFor("clinic.patients"));
    expect(await readOutcome(gateway.fetch(caller, "clinic.stays/123-45", 1))).toBe(answerFor("clinic.stays"));
    expect(await readRecord(caller)).toContain('"denials":["clinic.patients.ssn: hidden"]');
    expect(await readRecord(caller)).not.toContain("clinic.stays.");
  });
});

describe("a key column that the user sees", () => {
  it("is named and fetches rows when it is shown in clear", async () => {
    const [gateway, caller] = [world([ALL]), callerAs("reader@harbor.example")];
    expect(await gateway.describe(caller, "clinic.patients")).toMatchObject({ key: "ssn" });
    expect((await gateway.fetch(caller, "clinic.patients", 1)).text).toContain("Fetch a row as clinic.patients/<ssn>.");
    expect((await gateway.fetch(caller, "clinic.patients/123-45", 1)).text).toContain("Ann");
    expect(await gateway.describe(caller, "clinic.visits")).toMatchObject({
      columns: [{ name: "id" }, { name: "patient", references: "patients.ssn" }, { name: "audit" }],
    });
  });

  it("is named but does not fetch rows when it is masked", async () => {
    const masked = [allow(PATIENTS, { masks: { ssn: mask.last(2) } })];
    const [gateway, caller] = [world(masked), callerAs("reader@harbor.example")];
    expect(await gateway.describe(caller, "clinic.patients")).toMatchObject({ key: "ssn" });
    expect((await gateway.fetch(caller, "clinic.patients", 1)).text).not.toContain("Fetch a row");
    expect(await readOutcome(gateway.fetch(caller, "clinic.patients/123-45", 1))).toMatch(/^not_found/);
  });

  it("fetches only the row with exactly this key when the collation treats other keys as equal", async () => {
    const [gateway, caller] = [world([ALL]), callerAs("reader@harbor.example")];
    expect((await gateway.fetch(caller, "clinic.patients/ab-9", 1)).text).toContain("Bo");
    expect(await readOutcome(gateway.fetch(caller, "clinic.patients/AB-9", 1))).toMatch(/^not_found/);
  });
});
