// Audit records in the JSON API: what auditors see, that others see nothing, and that each read is recorded before its answer leaves.
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { openAuditRecordStore } from "../../src/audit/audit-record-store.ts";
import { newId } from "../../src/lib/ids.ts";
import { flushLedger } from "../audit/flush-ledger.ts";
import { storeChain } from "../audit/stored-records.ts";
import { personAt } from "../support/browser.ts";
import type { Person } from "../support/browser.ts";
import { ledgerOf, subjectIdOf } from "../support/members.ts";
import { seedShop } from "../support/seed.ts";
import { ORIGIN, callTool, send, tokenOf } from "../support/worker.ts";

const SECRET = "4111-secret-of-a-user";
const OWNER = "owner@harbor.example";
const ANALYST = "analyst@harbor.example";
const records = openAuditRecordStore(env.GATEHOUSE_DB);
let owner: Person;
let analyst: Person;
let guest: Person;
/** A ledger whose texts were all typed by its user. */
let typedLedger: string;

beforeAll(async () => {
  await seedShop();
  owner = await personAt(OWNER);
  analyst = await personAt(ANALYST);
  guest = await personAt("guest@harbor.example");
  typedLedger = await storeChain(records, [
    {
      attempt: { operation: "fetch", asked: `shop.customers/${SECRET}`, resource: `shop.customers/${SECRET}` },
      outcome: { datasets: ["shop.customers"], columns: ["shop.customers.email"] },
    },
    { attempt: { asked: `shop: SELECT '${SECRET}'`, resource: "shop" } },
    { attempt: { operation: "query", resource: SECRET }, outcome: { result: "denied", code: "not_found" } },
    {
      attempt: { operation: "make access token", asked: SECRET, clientId: "=HYPERLINK(1)" },
      outcome: { result: "denied", code: "invalid_input", denials: [`members: ${SECRET}: no_role`, "owner: no_role"] },
    },
  ]);
});

/** Sends a GET as the browser of a user does, and returns the text. */
async function get({ cookie }: Person, path: string, headers: Record<string, string> = {}) {
  const response = await send(`${ORIGIN}/api${path}`, { headers: { cookie, ...headers } });
  return {
    status: response.status,
    headers: response.headers,
    text: new TextDecoder().decode(await response.arrayBuffer()),
  };
}

/** Lists what a user's ledger says about reads of the log. */
async function listReads(email: string) {
  const stored = await ledgerOf(await subjectIdOf(email)).listRecords(0, 1000);
  return stored
    .map(({ body }) => JSON.parse(body))
    .filter(({ attempt }) => /^read (?:audit log|own records)$/.test(attempt.operation))
    .map(({ attempt, outcome }) => ({
      operation: attempt.operation,
      resource: attempt.resource,
      result: outcome.result,
      rows: outcome.rows,
    }));
}

describe("an auditor", () => {
  it.each(["json", "jsonl", "csv"])("sees records as %s without any text that users have typed", async (format) => {
    const { status, text } = await get(owner, `/audit?user=${typedLedger}&format=${format}`);
    expect(status).toBe(200);
    for (const expected of ["shop.customers.email", "undeclared name: no_role", "owner: no_role", typedLedger])
      expect(text).toContain(expected);
    expect(text).not.toContain(SECRET);
  });

  it("sees the name of a declared source, and no other resource", async () => {
    const { body } = await owner.api("GET", `/audit?user=${typedLedger}`);
    const listed = Array.isArray(body["records"]) ? body["records"] : [];
    expect(listed.map(({ resource, arguments: asked }) => [resource, asked])).toEqual([
      [null, null],
      [null, null],
      ["shop", null],
      [null, null],
    ]);
  });

  it("finds who read a column, and reads one record by its id", async () => {
    const { body } = await owner.api("GET", `/audit?column=shop.customers.email&user=${typedLedger}`);
    expect(body).toMatchObject({
      records: [{ id: `${typedLedger}/1`, columns: ["shop.customers.email"] }],
      next: null,
    });
    const shown = await owner.api("GET", `/audit/${typedLedger}/1`);
    expect(shown).toMatchObject({ status: 200, body: { record: { seq: 1, arguments: null, resource: null } } });
  });

  it("gets CSV whose cells no spreadsheet runs, as a file", async () => {
    const { text, headers } = await get(owner, `/audit?user=${typedLedger}&format=csv`);
    expect(text).toContain(",'=HYPERLINK(1),");
    expect(text.split("\n")).toHaveLength(6);
    expect(headers.get("content-type")).toBe("text/csv; charset=utf-8");
    expect(headers.get("content-disposition")).toBe('attachment; filename="audit-records.csv"');
  });

  it("reads all pages by the cursor, in JSON and by the header Link", async () => {
    const seen: number[] = [];
    let cursor = "";
    do {
      const { body } = await owner.api("GET", `/audit?user=${typedLedger}&limit=3${cursor}`);
      seen.push(...(Array.isArray(body["records"]) ? body["records"] : []).map(({ seq }) => seq));
      cursor = typeof body["next"] === "string" ? `&cursor=${body["next"]}` : "";
    } while (cursor !== "");
    expect(seen).toEqual([4, 3, 2, 1]);
    const first = await get(owner, `/audit?user=${typedLedger}&limit=3&format=jsonl`);
    const [, next = ""] = /^<\/api(\/audit\?[^>]+)>; rel="next"$/.exec(first.headers.get("link") ?? "") ?? [];
    expect((await get(owner, next)).text).toContain('"seq":1,');
  });

  it("sees the name with which a client registered itself", async () => {
    await callTool(await tokenOf("analyst"), "query", { source: "shop", sql: "SELECT 1 FROM orders LIMIT 1" });
    await flushLedger(await subjectIdOf(ANALYST));
    const { body } = await owner.api("GET", `/audit?user=${ANALYST}&action=query&limit=1`);
    expect(body["records"]).toMatchObject([{ user: ANALYST, clientName: "Test client", arguments: null }]);
  });

  it.each([
    ["user=' OR 1=1 --", "neither an email address nor a subject id"],
    ["dataset=shop", "dataset is shop. Write source.table"],
    ["column=shop.customers", "column is shop.customers. Write source.table.column"],
    ["decision=allowed' OR '1'='1", "It takes allowed, denied, none."],
    ["since=yesterday", "since is yesterday."],
    ["until=2026-02-31", "until is 2026-02-31."],
    ["cursor=x", "cursor takes what the page before returned as next"],
    ["cursor=1.1' OR 1=1", "cursor takes"],
    ["limit=0", "limit takes a number from 1 to 500"],
    ["limit=501", "limit takes"],
    ["limit=1e2", "limit takes"],
    ["arguments=true", "There is no parameter arguments."],
    ["__proto__=1", "There is no parameter __proto__."],
    ["user=aaaa&user=bbbb", "A parameter is given twice."],
    ["format=xml", "format takes json, jsonl or csv."],
  ])("gets an error for %s", async (query, message) => {
    const { status, text } = await get(owner, `/audit?${encodeURI(query)}`);
    expect({ status, text }).toMatchObject({ status: 400, text: expect.stringContaining(message) });
  });

  it.each(["client=' OR 1=1 --", "action=que%25", "dataset=shop.x' OR '1'='1", "column=shop.customers.email' --"])(
    "finds nothing by the text %s, which no record has",
    async (query) => {
      const { status, text } = await get(owner, `/audit?${encodeURI(query)}`);
      expect({ status, text }).toEqual({ status: 200, text: '{"records":[],"next":null}' });
    },
  );

  it("gets not_found for a record that does not exist", async () => {
    for (const id of [`${typedLedger}/99`, `${newId()}/1`, `${typedLedger}/1e0`])
      expect((await owner.api("GET", `/audit/${id}`)).status).toBe(404);
  });
});

describe("a read of the audit log", () => {
  it("is a record of its reader, with the filters and the number of records", async () => {
    await owner.api("GET", `/audit?user=${typedLedger}&limit=2`);
    await owner.api("GET", `/audit/${typedLedger}/1`);
    expect((await listReads(OWNER)).slice(-2)).toEqual([
      {
        operation: "read audit log",
        resource: JSON.stringify({ user: typedLedger, limit: "2" }),
        result: "answered",
        rows: 2,
      },
      { operation: "read audit log", resource: `${typedLedger}/1`, result: "answered", rows: 1 },
    ]);
  });

  it("is answered with nothing when it cannot be recorded", async () => {
    const ledger = ledgerOf(await subjectIdOf(OWNER));
    const execute = async (sql: string): Promise<void> =>
      runInDurableObject(ledger, async (_object, { storage }) => void storage.sql.exec(sql));
    await execute("UPDATE head SET bytes = bytes + 1000000000");
    try {
      for (const path of [`/audit?user=${typedLedger}`, `/audit/${typedLedger}/1`, "/records"]) {
        const { status, text } = await get(owner, path);
        expect(status).toBe(503);
        expect(text).toContain("record_full");
        expect(text).not.toContain(typedLedger);
      }
    } finally {
      await execute("UPDATE head SET bytes = bytes - 1000000000");
    }
  });

  it("counts against the rows of the day", async () => {
    const ledger = ledgerOf(await subjectIdOf(OWNER));
    const readRows = async (): Promise<number> =>
      runInDurableObject(ledger, async (_object, { storage }) =>
        Number(storage.sql.exec("SELECT coalesce(sum(rows), 0) AS rows FROM usage").one()["rows"]),
      );
    const before = await readRows();
    await owner.api("GET", `/audit?user=${typedLedger}`);
    expect(await readRows()).toBe(before + 4);
  });
});

describe("a user without a role that audits", () => {
  it("gets the same refusal whether a record exists or not, and it is recorded", async () => {
    const before = (await listReads(ANALYST)).length;
    const paths = [
      "/audit",
      "/audit?limit=x",
      "/audit?user=none@x.example",
      `/audit/${typedLedger}/1`,
      "/audit/none/7",
    ];
    const replies = await Promise.all(paths.map(async (path) => get(analyst, path)));
    expect(new Set(replies.map(({ status, text }) => `${status} ${text}`))).toEqual(
      new Set([
        `403 ${JSON.stringify({ error: { code: "not_allowed", message: "Only owner may do this. The data team (owner@harbor.example) gives roles." } })}`,
      ]),
    );
    const recorded = (await listReads(ANALYST)).slice(before);
    expect(recorded.map(({ result, rows }) => [result, rows])).toEqual(paths.map(() => ["denied", 0]));
  });

  it("is refused at the request after the role was taken", async () => {
    const read = async (): Promise<number> => (await guest.api("GET", `/audit?user=${typedLedger}`)).status;
    expect(await read()).toBe(403);
    await owner.api("PUT", "/members/guest@harbor.example/roles/owner");
    expect(await read()).toBe(200);
    await owner.api("DELETE", "/members/guest@harbor.example/roles/owner");
    expect(await read()).toBe(403);
  });
});

describe("a caller without a browser session of this server's pages", () => {
  it.each(["/audit", "/records", "/audit/operator/1"])(
    "gets nothing from %s with a token, not even of an auditor",
    async (path) => {
      const created = await owner.api("POST", "/tokens", { name: "audit", roles: ["owner"], days: 1 });
      for (const token of [String(created.body["token"]), await tokenOf("owner")]) {
        const { status, text } = await get(owner, path, { authorization: `Bearer ${token}` });
        expect([status, text]).toEqual([401, expect.stringContaining("accepts only browser sessions")]);
      }
      expect((await send(`${ORIGIN}/api${path}`)).status).toBe(401);
    },
  );

  it("cannot make the browser of an auditor read from another site, and leaves no record", async () => {
    const before = (await listReads(OWNER)).length;
    for (const headers of [
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" },
      { origin: "https://attacker.example" },
    ])
      expect((await get(owner, `/audit?user=${typedLedger}`, headers)).status).toBe(403);
    expect((await get(owner, "/audit")).headers.get("access-control-allow-origin")).toBeNull();
    expect(await listReads(OWNER)).toHaveLength(before + 1);
  });
});

describe("a user's own records in the API", () => {
  it("are those of the user alone, with what they asked, whatever cursor is sent", async () => {
    await callTool(await tokenOf("analyst"), "query", { source: "shop", sql: "SELECT 7 FROM orders LIMIT 1" });
    await flushLedger(await subjectIdOf(ANALYST));
    const ledger = await subjectIdOf(ANALYST);
    for (const cursor of ["", "&cursor=zzzzzzzz.1", "&cursor=zzzzzzzz.zzzzzz", "&cursor=1000000000.0"]) {
      const { status, body } = await analyst.api("GET", `/records?limit=100${cursor}`);
      expect(status).toBe(200);
      const own = Array.isArray(body["records"]) ? body["records"] : [];
      expect(own.map(({ id }) => String(id).split("/")[0])).toEqual(own.map(() => ledger));
      for (const record of own) expect(Object.keys(record)).not.toContain("rules");
    }
    const { body } = await analyst.api("GET", "/records");
    expect(body["records"]).toContainEqual(
      expect.objectContaining({
        action: "query",
        arguments: "shop: SELECT ? FROM orders LIMIT ?",
        clientName: "Test client",
        isAnswered: true,
        rows: expect.any(Number),
      }),
    );
    expect((await listReads(ANALYST)).at(-1)).toMatchObject({ operation: "read own records", result: "answered" });
  });

  it.each(["user=owner@harbor.example", "ledger=x", "limit=0", "limit=101", "cursor=x", "cursor=1.1&cursor=2.2"])(
    "are refused with the parameter %s",
    async (query) => {
      expect((await analyst.api("GET", `/records?${query}`)).status).toBe(400);
    },
  );
});
