// Which rows an audit record names by their keys, for datasets whose policy asks for it: every way in which rows leave, and every form of a
// statement that hides which rows they are.
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openAuditRecordStore } from "../../src/audit/audit-record-store.ts";
import { findBrokenLink } from "../support/broken-link.ts";
import { listTerms, readEntry } from "../../src/audit/record-entry.ts";
import { createFilter } from "../../src/audit/record-filter.ts";
import { flushRecords } from "../../src/audit/record-flush.ts";
import type { RecordedKeys } from "../../src/audit/record-keys.ts";
import { createSentRecords } from "../../src/audit/sent-records.ts";
import type { ChainVerdict } from "../../src/audit/verify-chain.ts";
import { verifyStoredChains } from "../../src/audit/verify-stored-chain.ts";
import { mask } from "../../src/config/define-gatehouse.ts";
import type { Caller } from "../../src/lib/identity.ts";
import { deriveMaskingToken } from "../../src/masking-tokens/masking-token-store.ts";
import { TOKEN_KEY, createReader } from "../support/governed.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { ledgerOf } from "../support/members.ts";
import { NUMBER, TEXT, allow, buildPolicy, key } from "../support/policy-builder.ts";
import type { PolicyParts } from "../support/policy-builder.ts";

const PARTS: PolicyParts = {
  tables: {
    clients: { id: key(NUMBER), email: TEXT, region: TEXT },
    deals: { id: key(NUMBER), client_id: NUMBER },
    parts: { deal_id: key(NUMBER), sku: key(TEXT), amount: NUMBER },
    codes: { code: key(TEXT), amount: NUMBER },
    client_list: { id: key(NUMBER), email: TEXT },
  },
  views: ["client_list"],
  recordKeys: ["clients", "parts", "codes"],
  limits: { recordedKeys: 3 },
  queries: { emails: { description: "Emails", source: "shop", sql: "SELECT email, id FROM clients ORDER BY id" } },
  roles: {
    reader: { queries: ["emails"], rules: [allow("shop.*")] },
    masked: [
      allow("shop.clients", {
        masks: { id: mask.token("client"), email: mask.token("email") },
        reveal: ["id", "email"],
      }),
    ],
    hidden: [allow("shop.clients", { hidden: ["id"] })],
    partly: [allow("shop.clients", { rows: { column: "id", op: "=", value: 1 } })],
    rest: [allow("shop.clients", { masks: { id: mask.null } })],
  },
  members: { reader: ["reader"], masked: ["masked"], hidden: ["hidden"], mixed: ["partly", "rest"] },
};
const POLICY = buildPolicy(PARTS);
const store = openAuditRecordStore(env.GATEHOUSE_DB);
const gateway = gatewayFor(POLICY);
const BLOB = "x'00ff10'";
const LONG = "k".repeat(300);
const ODD = ["a\u0007b", "line\nbreak", "\u202eevil", "a,b", " ?", "🦀"];
const BIG = "9007199254740993";

beforeAll(async () => {
  const { SHOP_DB } = env;
  await SHOP_DB.batch(
    [
      "CREATE TABLE clients (id INTEGER PRIMARY KEY, email TEXT, region TEXT)",
      "CREATE TABLE deals (id INTEGER PRIMARY KEY, client_id INTEGER)",
      "CREATE TABLE parts (deal_id INTEGER, sku TEXT, amount INTEGER, PRIMARY KEY (deal_id, sku)) WITHOUT ROWID",
      "CREATE TABLE codes (code PRIMARY KEY, amount INTEGER)",
      "CREATE VIEW client_list AS SELECT id, email FROM clients",
      "INSERT INTO clients VALUES (1, 'a@x.example', 'north'), (2, 'b@x.example', 'north'), (3, 'c@x.example', 'south')",
      "INSERT INTO deals VALUES (10, 1), (11, 1), (12, 2), (13, NULL)",
      "INSERT INTO parts VALUES (10, 'a,b', 1), (10, 'c', 2), (11, 'c', 3)",
      `INSERT INTO codes VALUES (${BLOB}, 1), (${BIG}, 2), ('${LONG}', 3), ('a' || char(0) || 'b', 4), (2.5, 5)`,
    ].map((sql) => SHOP_DB.prepare(sql)),
  );
  await SHOP_DB.batch(ODD.map((code, at) => SHOP_DB.prepare("INSERT INTO codes VALUES (?, ?)").bind(code, 100 + at)));
});

let caller: Caller = callerAs("reader@harbor.example");
beforeEach(() => {
  caller = callerAs("reader@harbor.example");
});

const query = async (sql: string, source = "shop", rowLimit?: number, from = gateway) =>
  from.query(caller, { target: { source, sql }, params: [], rowLimit });

/** Reads the last record of the caller: its keys, and the terms of keys by which it is found. */
async function readLast(): Promise<{ readonly keys: RecordedKeys | null; readonly terms: readonly string[] }> {
  const { subjectId, token } = caller.identity;
  const ledger = token?.ownerId ?? subjectId;
  const records = await ledgerOf(ledger).listRecords(0, 1000);
  expect(findBrokenLink(records)).toBeNull();
  const last = records.at(-1);
  if (last === undefined) throw new TypeError("there is no record");
  const entry = readEntry(ledger, last);
  return { keys: entry.keys, terms: listTerms(entry).filter((term) => term.startsWith("key ")) };
}

/** Sends the records of the caller to GATEHOUSE_DB. */
async function sendRecords(): Promise<void> {
  const { subjectId } = caller.identity;
  await runInDurableObject(ledgerOf(subjectId), async (_object, { storage }) =>
    flushRecords({
      ledger: subjectId,
      records: createSentRecords(storage.sql),
      store,
      transact: (change) => storage.transactionSync(change),
      now: Date.now,
      onHeld: (held) => expect(held).toEqual([]),
    }),
  );
}

async function verify(): Promise<ChainVerdict["fault"] | undefined> {
  const spans = await store.listChains(0, 9e15, [caller.identity.subjectId]);
  return (await verifyStoredChains(store, spans))[0]?.fault;
}

/** Counts the stored records of the caller that show this row, or may show it. */
async function countRecords(dataset: string, rowKey: string): Promise<number> {
  const filter = createFilter({ users: [caller.identity.subjectId], row: { dataset, key: rowKey } });
  return (await store.list(filter, { order: "oldest first", cursor: null, limit: 100 })).records.length;
}

const all = (dataset: string, ...values: readonly string[]): RecordedKeys => ({
  [dataset]: { values, complete: true },
});
const some = (dataset: string, ...values: readonly string[]): RecordedKeys => ({
  [dataset]: { values, complete: false },
});
const CLIENTS = "shop.clients";

describe("the record of a query", () => {
  it.each<[string, string, RecordedKeys | null]>([
    [
      "names the rows whose key it shows",
      "SELECT id, email FROM clients WHERE region = 'north'",
      all(CLIENTS, "1", "2"),
    ],
    ["names them under another name", "SELECT email, c.id AS who FROM clients AS c", all(CLIENTS, "1", "2", "3")],
    [
      "names them through a subquery",
      "SELECT x FROM (SELECT id AS x, email FROM clients) WHERE email LIKE 'b%'",
      all(CLIENTS, "2"),
    ],
    ["names them for every column", "SELECT * FROM clients LIMIT 1", all(CLIENTS, "1")],
    ["names them by rowid", "SELECT rowid, email FROM clients LIMIT 2", all(CLIENTS, "1", "2")],
    [
      "names each row once",
      "SELECT c.id, d.id FROM clients AS c JOIN deals AS d ON d.client_id = c.id",
      all(CLIENTS, "1", "2"),
    ],
    [
      "names no row where an outer join has none",
      "SELECT d.id, c.id FROM deals AS d LEFT JOIN clients AS c ON c.id = d.client_id WHERE d.id > 11",
      all(CLIENTS, "2"),
    ],
    ["names no row when it returns none", "SELECT email FROM clients WHERE id = 99", all(CLIENTS)],
    ["may show any row when the key is not selected", "SELECT email FROM clients WHERE id = 2", some(CLIENTS)],
    ["may show any row when the key is computed", "SELECT id + 0 FROM clients", some(CLIENTS)],
    ["may show any row when another column has the name of the key", "SELECT email AS id FROM clients", some(CLIENTS)],
    ["may show any row when it only counts", "SELECT count(*) FROM clients", some(CLIENTS)],
    [
      "may show any row when the table only filters",
      "SELECT id FROM deals WHERE client_id IN (SELECT id FROM clients)",
      some(CLIENTS),
    ],
    ["may show any row when it combines queries", "SELECT id FROM clients UNION SELECT id FROM deals", some(CLIENTS)],
    [
      "may show other rows when it groups",
      "SELECT id, max(email) FROM clients GROUP BY region ORDER BY 1",
      some(CLIENTS, "2", "3"),
    ],
    ["may show other rows when it quotes an aggregate", 'SELECT id, "max"(email) FROM clients', some(CLIENTS, "3")],
    [
      "may show other rows with a window",
      "SELECT id, lead(email) OVER (ORDER BY id) FROM clients LIMIT 1",
      some(CLIENTS, "1"),
    ],
    [
      "may show other rows when it joins the table with itself",
      "SELECT a.id, b.email FROM clients AS a JOIN clients AS b LIMIT 1",
      some(CLIENTS, "1"),
    ],
    [
      "may show other rows when a WITH query is joined with itself",
      "WITH c AS (SELECT * FROM clients) SELECT a.id, b.email FROM c AS a JOIN c AS b LIMIT 1",
      some(CLIENTS, "1"),
    ],
    [
      "may show other rows of a value query",
      "SELECT id, (SELECT email FROM clients WHERE id = 3) FROM clients LIMIT 1",
      some(CLIENTS, "1"),
    ],
    [
      "names the rows of both sides that it shows",
      "SELECT a.id, b.id FROM clients AS a JOIN clients AS b ON b.id = a.id + 1 LIMIT 1",
      some(CLIENTS, "1", "2"),
    ],
    [
      "holds no more keys than the limit, and says so",
      "SELECT code FROM codes WHERE amount >= 100 ORDER BY amount",
      some("shop.codes", ...ODD.slice(0, 3)),
    ],
    [
      "has the form of an id for keys of several columns",
      "SELECT sku, deal_id FROM parts WHERE amount < 3",
      all("shop.parts", "10,a%2Cb", "10,c"),
    ],
    ["may show any row when a part of the key is missing", "SELECT deal_id FROM parts", some("shop.parts")],
    ["takes no key from two rows", "SELECT a.deal_id, b.sku FROM parts AS a JOIN parts AS b", some("shop.parts")],
    [
      "takes no key from two rows of a WITH query",
      "WITH p AS (SELECT * FROM parts) SELECT a.deal_id, b.sku FROM p AS a JOIN p AS b",
      some("shop.parts"),
    ],
    [
      "has the rows of each dataset",
      "SELECT c.id, p.deal_id, p.sku FROM clients AS c, parts AS p WHERE p.amount = 3 AND c.id = 3",
      { ...all(CLIENTS, "3"), ...all("shop.parts", "11,c") },
    ],
    [
      "takes no key of a view for one of its table",
      "SELECT v.id, c.email FROM client_list AS v, clients AS c LIMIT 1",
      some(CLIENTS),
    ],
    ["has no keys of other datasets", "SELECT id FROM deals", null],
  ])("%s", async (_name, sql, expected) => {
    await query(sql);
    const { keys, terms } = await readLast();
    expect(keys).toEqual(expected);
    const expectedTerms = Object.entries(expected ?? {}).flatMap(([dataset, { values, complete }]) => [
      ...values.map((value) => `key ${dataset}/${value}`),
      ...(complete ? [] : [`key ${dataset} ?`]),
    ]);
    expect(terms).toEqual(expectedTerms);
  });

  it.each(["masked", "hidden", "mixed"])("has no key that is %s for the user", async (account) => {
    caller = callerAs(`${account}@harbor.example`);
    await query("SELECT * FROM clients");
    expect((await readLast()).keys).toEqual(some(CLIENTS));
  });

  it("names only the rows that were shown, and those of a page when the page is read", async () => {
    const { result } = await query("SELECT id, email FROM clients ORDER BY id", "shop", 1);
    expect((await readLast()).keys).toEqual(all(CLIENTS, "1"));
    await gateway.fetch(caller, result, 1);
    expect((await readLast()).keys).toEqual(all(CLIENTS, "1", "2", "3"));
    await gateway.readResource(caller, `gatehouse://result/${result}`);
    expect((await readLast()).keys).toEqual(all(CLIENTS, "1", "2", "3"));
  });

  it("names the rows of each page of a stored result", async () => {
    const paged = gatewayFor(buildPolicy({ ...PARTS, limits: { defaultRows: 1, shownRows: 2 } }));
    const { result } = await query("SELECT id FROM clients ORDER BY id", "shop", undefined, paged);
    await paged.fetch(caller, result, 2);
    expect((await readLast()).keys).toEqual(all(CLIENTS, "3"));
  });

  it("names rows through stored results, unless they were combined or their key was left out", async () => {
    const { result } = await query("SELECT id AS who, email FROM clients");
    await query(`SELECT who FROM ${result} WHERE email LIKE 'c%'`, "workspace");
    expect((await readLast()).keys).toEqual(all(CLIENTS, "3"));
    await query(`SELECT email FROM ${result}`, "workspace");
    expect((await readLast()).keys).toEqual(some(CLIENTS));
    await query(`SELECT a.who, b.email FROM ${result} AS a JOIN ${result} AS b LIMIT 1`, "workspace");
    expect((await readLast()).keys).toEqual(some(CLIENTS, "1"));
    const other = await query("SELECT id FROM clients");
    await query(`SELECT a.who, b.id FROM ${result} AS a JOIN ${other.result} AS b ON b.id = 3 LIMIT 1`, "workspace");
    expect((await readLast()).keys).toEqual(some(CLIENTS, "1", "3"));
    const grouped = await query("SELECT id, max(email) AS last FROM clients");
    await query(`SELECT * FROM ${grouped.result}`, "workspace");
    expect((await readLast()).keys).toEqual(some(CLIENTS, "3"));
  });

  it("may show any row of a result that was stored before the policy asked for keys", async () => {
    const { result } = await query(
      "SELECT id FROM clients",
      "shop",
      undefined,
      gatewayFor(buildPolicy({ ...PARTS, recordKeys: [] })),
    );
    expect((await readLast()).keys).toBeNull();
    await gateway.fetch(caller, result, 1);
    expect((await readLast()).keys).toEqual(some(CLIENTS));
  });

  it("names the rows of a saved query, and those that a personal access token gets", async () => {
    await gateway.query(caller, { target: { saved: "emails" }, params: [], rowLimit: 2 });
    expect((await readLast()).keys).toEqual(all(CLIENTS, "1", "2"));
    const { identity, clientId } = caller;
    caller = {
      identity: {
        ...identity,
        subjectId: crypto.randomUUID(),
        token: { id: "t", ownerId: identity.subjectId, roles: ["reader"] },
      },
      clientId,
    };
    await query("SELECT id FROM clients WHERE id = 3");
    expect((await readLast()).keys).toEqual(all(CLIENTS, "3"));
  });

  it("has every kind of key in a form that is found again", async () => {
    const wide = gatewayFor(buildPolicy({ ...PARTS, limits: {} }));
    await query("SELECT code FROM codes ORDER BY amount", "shop", undefined, wide);
    const { keys } = await readLast();
    const { values = [], complete } = keys?.["shop.codes"] ?? {};
    expect(complete).toBe(true);
    expect(values.slice(0, 2)).toEqual(["AP8Q", BIG]);
    expect(values[2]).toMatch(/^k{60}… \[SHA-256 [0-9a-f]{64}\]$/);
    expect(values[3]).toMatch(/^a\ufffdb… \[SHA-256 [0-9a-f]{64}\]$/);
    expect(values[4]).toBe("2.5");
    expect(values.slice(5)).toEqual(ODD);
    await sendRecords();
    expect(await verify()).toBeNull();
    for (const code of ["AP8Q", BIG, LONG, "a\0b", "2.5", ...ODD])
      expect(await countRecords("shop.codes", code), JSON.stringify(code)).toBe(1);
    expect(await countRecords("shop.codes", "other")).toBe(0);
  });
});

describe("the record of a row", () => {
  it("names it, however it was fetched", async () => {
    await gateway.fetch(caller, "shop.clients/2", 1);
    expect((await readLast()).keys).toEqual(all(CLIENTS, "2"));
    await gateway.readResource(caller, "gatehouse://dataset/shop/clients/2");
    expect((await readLast()).keys).toEqual(all(CLIENTS, "2"));
    await gateway.fetch(caller, "shop.parts/10,a%2Cb", 1);
    expect((await readLast()).keys).toEqual(all("shop.parts", "10,a%2Cb"));
  });

  it("names none when the row does not exist, and when only the table was described", async () => {
    await expect(gateway.fetch(caller, "shop.clients/99", 1)).rejects.toMatchObject({ code: "not_found" });
    expect((await readLast()).keys).toBeNull();
    await gateway.fetch(caller, "shop.clients", 1);
    expect((await readLast()).keys).toBeNull();
  });

  it("names it when its key was exchanged for a masking token, and may be any row for another column", async () => {
    if (TOKEN_KEY === null) throw new TypeError("there is no key");
    await createReader(POLICY).read("masked", "SELECT * FROM clients");
    caller = callerAs("masked@harbor.example");
    await gateway.fetch(caller, deriveMaskingToken(TOKEN_KEY, "client", "2"), 1);
    expect((await readLast()).keys).toEqual(all(CLIENTS, "2"));
    await gateway.fetch(caller, deriveMaskingToken(TOKEN_KEY, "email", "b@x.example"), 1);
    expect((await readLast()).keys).toEqual(some(CLIENTS));
  });
});
