// Kept results: exact, pageable and joinable across databases, and gone as soon as today's grants do not cover what they
// were made under.
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { defineGatehouse, mask, subject } from "../../src/config.ts";
import type { GatehouseInput } from "../../src/config.ts";
import { AppError } from "../../src/errors.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { SECRETS, seedShop } from "../support/seed.ts";

const TEXT = { type: "text", description: "Text" } as const;
const NUMBER = { type: "integer", description: "Number" } as const;
const EMAIL = "reader@harbor.example";

const CUSTOMERS = ["shop.customers"];
type Rules = GatehouseInput["roles"][string]["rules"];
const NORTH = { column: "region", op: "=", value: subject("region") } as const;

/** One reader with these rules. */
function world(rules: Rules, region = "north", limits: GatehouseInput["limits"] = {}) {
  return defineGatehouse({
    organisation: { name: "Test", contact: "Test" },
    limits,
    sources: {
      shop: {
        kind: "d1",
        binding: "SHOP_DB",
        title: "Shop",
        description: "Shop",
        tables: {
          customers: {
            description: "Customers",
            columns: { id: NUMBER, name: TEXT, email: TEXT, region: TEXT, notes: { ...TEXT, untrusted: true } },
          },
          orders: { description: "Orders", columns: { id: NUMBER, customer_id: NUMBER, total_cents: NUMBER } },
        },
      },
      ops: {
        kind: "d1",
        binding: "OPS_DB",
        title: "Ops",
        description: "Ops",
        tables: { warehouses: { description: "Warehouses", columns: { id: NUMBER, town: TEXT, region: TEXT } } },
      },
    },
    roles: { reader: { description: "Reads", rules }, other: { description: "Nothing", rules: [] } },
    members: [
      { email: EMAIL, name: "R", roles: ["reader"], attributes: { region } },
      { email: "none@harbor.example", name: "N", roles: ["other"] },
    ],
  });
}

const ALL: Rules = [{ action: "read", datasets: ["shop.*", "ops.*"] }];

const query = (source: string, sql: string, limit?: number) => ({ what: { source, sql }, params: [], limit });

async function failure(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    (answer) => new Error(`answered ${JSON.stringify(answer)}`),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof AppError)) throw error;
  return `${error.code}: ${error.publicMessage}`;
}

beforeAll(seedShop);

describe("a kept result", () => {
  it("joins with one of another database, and says whence it came", async () => {
    const [gateway, caller] = [gatewayFor(world(ALL)), callerAs(EMAIL)];
    const first = await gateway.query(caller, query("shop", "SELECT id, region FROM customers"));
    const second = await gateway.query(caller, query("ops", "SELECT town, region FROM warehouses"));
    expect([first.result, second.result]).toEqual(["r1", "r2"]);
    const joined = await gateway.query(
      caller,
      query("workspace", "SELECT r1.id, town FROM r1 JOIN r2 ON r1.region = r2.region ORDER BY 1"),
    );
    expect(joined).toMatchObject({
      result: "r3",
      rows: [
        [1, "Skarrvik"],
        [3, "Skarrvik"],
      ],
    });
    expect(joined.rules).toEqual(["reader/allow/read/shop.customers", "reader/allow/read/ops.warehouses"]);
    expect(await gateway.describe(caller, "workspace")).toMatchObject({
      datasets: [
        { dataset: "workspace.r1", description: "3 rows of shop: SELECT id, region FROM customers" },
        { dataset: "workspace.r2" },
        { dataset: "workspace.r3" },
      ],
    });
    expect(await gateway.describe(caller, "r1")).toMatchObject({
      columns: [
        { name: "id", type: "integer" },
        { name: "region", type: "text" },
      ],
    });
  });

  it("keeps every value as it was", async () => {
    const [gateway, caller] = [gatewayFor(world(ALL)), callerAs(EMAIL)];
    const values = [
      "9223372036854775807",
      "-9223372036854775807 - 1",
      "5.0",
      "-0.0",
      "1e300",
      "1e20",
      "0.1 + 0.2",
      "9e999",
      "-9e999",
      "x'00ff10'",
      "x''",
      "''",
      "'Infinity'",
      "'[1]'",
      "char(10, 34, 92, 8232, 128578)",
      "NULL",
      "9007199254740993",
    ];
    const columns = values.map((value, index) => `${value} AS c${index}`);
    await gateway.query(caller, query("shop", `SELECT ${columns.join(", ")}`));
    const told = values.map((_value, index) => `typeof(c${index}) || ' ' || quote(c${index})`);
    const expected = values.map((value) => `typeof(${value}) || ' ' || quote(${value})`);
    const [kept, direct] = await Promise.all([
      gateway.query(caller, query("workspace", `SELECT ${told.join(", ")} FROM r1`)),
      env.SHOP_DB.prepare(`SELECT ${expected.join(", ")}`).raw(),
    ]);
    expect(kept.rows).toEqual(direct);
    const again = await gateway.query(caller, query("workspace", "SELECT c0, c2, c7, c9, c2 / 2 FROM r1"));
    expect(again.rows).toEqual([["9223372036854775807", 5, "Infinity", "AP8Q", 2.5]]);
    expect(again.encoded).toEqual(["c0: integer as text", "c7: real as text", "c9: base64"]);
  });

  it("has names that differ and can be written", async () => {
    const [gateway, caller] = [gatewayFor(world(ALL)), callerAs(EMAIL)];
    const sql = 'SELECT 1 AS a, 2 AS A, 3 AS "", 4 AS "a_1", 5 AS "x""y", count(*) FROM customers';
    const { columns } = await gateway.query(caller, query("shop", sql));
    expect(columns).toEqual(["a", "A_1", "column_3", "a_1_2", 'x"y', "count(*)"]);
    const read = await gateway.query(caller, query("workspace", 'SELECT a, A_1, column_3, "x""y", "count(*)" FROM r1'));
    expect(read.rows).toEqual([[1, 2, 3, 5, 3]]);
  });

  it("comes page by page as text, whole rows each", async () => {
    const limits = { defaultRows: 2, maxRows: 4, keptRows: 9 };
    const [gateway, caller] = [gatewayFor(world(ALL, "north", limits)), callerAs(EMAIL)];
    const sql = "SELECT value AS n, 'a,\"' || value AS t FROM json_each('[1,2,3,4,5,6,7,8,9,10,11]')";
    const answer = await gateway.query(caller, query("shop", sql));
    expect(answer).toMatchObject({
      rows: [
        [1, 'a,"1'],
        [2, 'a,"2'],
      ],
      count: { shown: 2, kept: 9, atLeast: 10 },
    });
    expect(answer.cut).toBe(
      "2 of at least 10 rows shown. 9 are kept as r1: read on with fetch, or use it as a table of source workspace. Aggregate or filter in SQL for all of it.",
    );
    expect(await gateway.fetch(caller, "r1", 3)).toMatchObject({
      text: 'n,t\n9,"a,""9"\n',
      metadata: { page: 3, pages: 3, rows: 9, sql, columns: ["n: integer", "t: text"] },
    });
    expect((await gateway.readResource(caller, "gatehouse://result/r1/2")).notes).toEqual([
      "Page 2 of 3. The next is gatehouse://result/r1/3.",
      "Not all rows: r1 has 9 of at least 10 rows.",
    ]);
    expect(await failure(gateway.fetch(caller, "r1", 4))).toBe(
      'invalid_input: page 4 does not exist: "r1" has 3 page(s).',
    );
    expect(await failure(gateway.fetch(caller, "r2", 1))).toMatch(/^not_found: There is no result r2\./);
    expect(await gateway.listResources(caller)).toContainEqual(
      expect.objectContaining({ uri: "gatehouse://result/r1" }),
    );
    expect((await gateway.search(caller, "json_each", 5)).results).toMatchObject([{ id: "r1" }]);
  });

  it("is bounded in rows and bytes", async () => {
    const limits = { keptBytes: 100_000, maxResultBytes: 50_000 };
    const [gateway, caller] = [gatewayFor(world(ALL, "north", limits)), callerAs(EMAIL)];
    const large = "SELECT printf('%.*c', 9000, 'x') AS t FROM json_each('[1,2,3,4,5,6,7,8,9,10,11,12,13,14]')";
    const { count, cut } = await gateway.query(caller, query("shop", large));
    expect(count).toEqual({ shown: 5, kept: 11, atLeast: 12 });
    expect(cut).toMatch(
      /^5 of at least 12 rows shown\. 11 are kept as r1: .* Aggregate or filter in SQL for all of it\.$/,
    );
    expect((await gateway.query(caller, query("workspace", "SELECT count(*) FROM r1"))).rows).toEqual([[11]]);
  });

  it("makes room, the oldest going first: by number, and by bytes", async () => {
    const object = env.WORKSPACE.get(env.WORKSPACE.idFromName(crypto.randomUUID()));
    const keep = async (call: string, rows: string[]) =>
      object.keep({ call, columns: [{ name: "a", types: [] }], rows, pages: [0], origin: "{}" });
    for (let index = 1; index <= 51; index += 1) await keep(String(index), ["[1]"]);
    const ids = async () => (await object.open([])).results.map(({ id }) => id);
    expect([(await ids()).length, (await ids())[0], (await ids()).at(-1)]).toEqual([50, "r2", "r51"]);
    const megabyte = JSON.stringify(["x".repeat(1_000_000)]);
    for (const call of ["a", "b", "c"])
      await keep(
        call,
        Array.from({ length: 9 }, () => megabyte),
      );
    expect(await ids()).toEqual(["r53", "r54"]);
    await object.open(["r54"]);
    expect(await object.run([{ sql: "SELECT count(*) AS n FROM r54", parameters: [] }])).toEqual([[{ n: 9 }]]);
  });

  it("is kept once, however often the same call keeps it", async () => {
    const object = env.WORKSPACE.get(env.WORKSPACE.idFromName(crypto.randomUUID()));
    const result = { call: "one", columns: [{ name: "a", types: [] }], rows: ["[1]"], pages: [0], origin: "{}" };
    expect([
      await object.keep(result),
      await object.keep(result),
      await object.keep({ ...result, call: "two" }),
    ]).toEqual(["r1", "r1", "r2"]);
  });

  it("goes when its time is up, by the alarm too", async () => {
    const object = env.WORKSPACE.get(env.WORKSPACE.idFromName(crypto.randomUUID()));
    await object.keep({ call: "one", columns: [{ name: "a", types: [] }], rows: ["[1]"], pages: [0], origin: "{}" });
    await object.open(["r1"]);
    await runInDurableObject(object, async (_instance, { storage }) => {
      expect(await storage.getAlarm()).not.toBeNull();
      expect(storage.sql.exec("SELECT count(*) AS n FROM r1").one()).toEqual({ n: 1 });
      const index = storage.kv.get<{ entries: object[] }>("index");
      storage.kv.put("index", { ...index, entries: index?.entries.map((entry) => ({ ...entry, expiresAtMs: 1 })) });
    });
    await evictDurableObject(object);
    await runInDurableObject(object, async (instance, { storage }) => {
      await instance.alarm?.();
      expect(storage.sql.exec("SELECT name FROM sqlite_schema WHERE name LIKE 'r%'").toArray()).toEqual([]);
      expect([...storage.kv.list()]).toEqual([["index", { counter: 1, entries: [] }]]);
    });
    expect(await object.open([])).toEqual({ results: [], objects: [] });
  });

  it("is nobody else's", async () => {
    const gateway = gatewayFor(world(ALL));
    await gateway.query(callerAs(EMAIL), query("shop", "SELECT * FROM customers"));
    expect(await failure(gateway.query(callerAs(EMAIL), query("workspace", "SELECT * FROM r1")))).toMatch(
      /^query_failed: There is no table r1 here that you may read\./,
    );
    expect(await failure(gateway.fetch(callerAs("none@harbor.example"), "r1", 1))).toMatch(/^not_found/);
  });
});

describe("a grant that shrank", () => {
  const shrunk: readonly (readonly [string, Rules])[] = [
    ["has no rule any more", [{ action: "read", datasets: ["ops.*", "shop.orders"] }]],
    ["is denied", [...ALL, { effect: "deny", action: "read", datasets: CUSTOMERS }]],
    ["hides a column", [{ action: "read", datasets: CUSTOMERS, hidden: ["email"] }]],
    ["denies a column", [...ALL, { effect: "deny", action: "read", datasets: CUSTOMERS, columns: ["email"] }]],
    ["masks a column", [{ action: "read", datasets: CUSTOMERS, masks: { email: mask.email } }]],
    ["gives fewer rows", [{ action: "read", datasets: CUSTOMERS, rows: NORTH }]],
  ];

  it.each(shrunk)("%s: what it produced is gone, and what was made of that", async (_name, rules) => {
    const caller = callerAs(EMAIL);
    const before = gatewayFor(world(ALL));
    await before.query(caller, query("shop", "SELECT email FROM customers"));
    await before.query(caller, query("workspace", "SELECT count(*) AS n FROM r1"));
    await before.query(caller, query("shop", "SELECT 1 AS one"));
    const after = gatewayFor(world(rules));
    for (const id of ["r1", "r2"]) {
      expect(await failure(after.query(caller, query("workspace", `SELECT * FROM ${id}`)))).toMatch(
        /no table r[12] here/,
      );
      expect(await failure(after.fetch(caller, id, 1))).toMatch(/^not_found/);
      expect(await failure(after.readResource(caller, `gatehouse://result/${id}`))).toMatch(/^not_found/);
      expect(await failure(after.describe(caller, `workspace.${id}`))).toMatch(/^not_found/);
    }
    expect((await after.search(caller, "email", 50)).results.filter(({ id }) => id.startsWith("r"))).toEqual([]);
    expect((await after.query(caller, query("workspace", "SELECT * FROM r3"))).rows).toEqual([[1]]);
    // It does not come back with the grant, and its name is not used again.
    expect(await failure(before.fetch(caller, "r1", 1))).toMatch(/^not_found/);
    expect((await before.query(caller, query("shop", "SELECT 2"))).result).toBe("r5");
  });

  it("by an attribute, too", async () => {
    const caller = callerAs(EMAIL);
    const rules: Rules = [{ action: "read", datasets: CUSTOMERS, rows: NORTH }];
    await gatewayFor(world(rules)).query(caller, query("shop", "SELECT name FROM customers"));
    expect(await failure(gatewayFor(world(rules, "south")).fetch(caller, "r1", 1))).toMatch(/^not_found/);
  });

  it("and one that grew or stayed leaves it", async () => {
    const caller = callerAs(EMAIL);
    const narrow: Rules = [{ action: "read", datasets: CUSTOMERS, rows: NORTH, masks: { email: mask.email } }];
    await gatewayFor(world(narrow)).query(caller, query("shop", "SELECT name, email FROM customers ORDER BY id"));
    for (const rules of [narrow, ALL]) {
      const { text } = await gatewayFor(world(rules)).fetch(caller, "r1", 1);
      expect(text).toBe("name,email\nNora North,n…@north.example\nNils North,n…@north.example\n");
    }
  });
});

describe("what is said of rows stays with them", () => {
  it("masks, row rules and outsiders' text", async () => {
    const rules: Rules = [{ action: "read", datasets: CUSTOMERS, rows: NORTH, masks: { email: mask.email } }];
    const [gateway, caller] = [gatewayFor(world(rules)), callerAs(EMAIL)];
    await gateway.query(caller, query("shop", "SELECT email, notes FROM customers"));
    const derived = await gateway.query(
      caller,
      query("workspace", "SELECT upper(notes) AS n FROM r1 WHERE notes > ''"),
    );
    const expected = { restricted: ["shop.customers"], masked: ["shop.customers.email:email"] };
    expect(derived).toMatchObject({ ...expected, untrusted: ["shop.customers.notes"] });
    expect(derived.rows).toEqual([[`⟦${SECRETS.note.toUpperCase()}⟧`]]);
    expect((await gateway.fetch(caller, "r2", 1)).text).toBe(`n\n⟦${SECRETS.note.toUpperCase()}⟧\n`);
    const ledger = env.LEDGER.get(env.LEDGER.idFromName(caller.identity.subjectId));
    const outcomes = (await ledger.records(0, 10)).map(({ body }): unknown => JSON.parse(body).outcome);
    expect(outcomes[1]).toMatchObject({
      kept: "r2",
      rows: 1,
      datasets: ["shop.customers"],
      untrusted: ["shop.customers.notes"],
    });
    expect(outcomes[2]).toMatchObject({ kept: null, rows: 1, untrusted: ["shop.customers.notes"] });
    expect(JSON.stringify(await ledger.records(0, 10))).not.toContain(SECRETS.note);
  });
});

describe("what is made from a result that does not have all rows", () => {
  it("says so, and so does what is made from that", async () => {
    const [gateway, caller] = [
      gatewayFor(world(ALL, "north", { keptRows: 2, maxRows: 2, defaultRows: 2 })),
      callerAs(EMAIL),
    ];
    const numbers = await gateway.query(caller, query("shop", "SELECT value AS n FROM json_each('[1,2,3,4]')"));
    expect(numbers.count).toEqual({ shown: 2, kept: 2, atLeast: 3 });
    expect(numbers.incomplete).toBeUndefined();
    const incomplete = ["r1 has 2 of at least 3 rows"];
    const sum = await gateway.query(caller, query("workspace", "SELECT sum(n) AS s FROM r1"));
    expect(sum).toMatchObject({ rows: [[3]], incomplete });
    expect(await gateway.query(caller, query("workspace", "SELECT s * 2 FROM r2"))).toMatchObject({ incomplete });
    expect(await gateway.describe(caller, "r1")).toMatchObject({
      description: "2 of at least 3 rows of shop: SELECT value AS n FROM json_each('[1,2,3,4]')",
      incomplete,
    });
    expect(await gateway.describe(caller, "r3")).toMatchObject({ incomplete });
    expect((await gateway.fetch(caller, "r2", 1)).metadata).toMatchObject({ rows: 1, incomplete });
    expect((await gateway.readResource(caller, "gatehouse://result/r2")).notes).toEqual([
      "Not all rows: r1 has 2 of at least 3 rows.",
    ]);
    const whole = await gateway.query(caller, query("shop", "SELECT count(*) FROM customers"));
    expect(whole.incomplete).toBeUndefined();
    expect(await gateway.describe(caller, "r4")).not.toHaveProperty("incomplete");
    const union = await gateway.query(caller, query("workspace", "SELECT * FROM r1 UNION ALL SELECT * FROM r3"));
    expect(union.incomplete).toEqual(incomplete);
  });
});

describe("what another role would not mend", () => {
  it("is not told with the roles that there are", async () => {
    const [gateway, caller] = [gatewayFor(world(ALL)), callerAs(EMAIL)];
    const said = (source: string, sql: string) => failure(gateway.query(caller, query(source, sql)));
    expect(await said("workspace", "SELECT * FROM r99")).toMatch(
      /^query_failed: There is no table r99 here.*(?<!roles\.)$/,
    );
    expect(await said("shop", 'SELECT name FROM customers WHERE region = "north"')).toMatch(
      /If it is text, put it in single quotes\..*(?<!roles\.)$/,
    );
    expect(await said("shop", "SELECT name FROM shop.customers")).toBe(
      "query_failed: Write the table's name without the source before it: customers.",
    );
    expect(await said("shops", "SELECT 1")).toContain(
      '"shops" that you may query. Did you mean shop? There are: shop, ops, workspace.',
    );
  });
});

describe("SQL over the workspace", () => {
  it.each([
    "SELECT * FROM sqlite_schema",
    "SELECT * FROM _cf_KV",
    "SELECT * FROM '_cf_KV'",
    "SELECT * FROM main.r1",
    "SELECT * FROM r2",
    "SELECT * FROM pragma_table_list",
    "SELECT * FROM r1; DROP TABLE r1",
    "DELETE FROM r1",
    "WITH x AS (SELECT 1) INSERT INTO r1 VALUES (1)",
    "SELECT load_extension('x') FROM r1",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    "SELECT count(*) FROM r1 a, r1 b, r1 c, r1 d",
  ])("is guarded as any: %s", async (sql) => {
    const [gateway, caller] = [gatewayFor(world(ALL)), callerAs(EMAIL)];
    const numbers = Array.from({ length: 900 }, (_value, index) => index);
    await gateway.query(caller, query("shop", `SELECT value FROM json_each('${JSON.stringify(numbers)}')`));
    expect(await failure(gateway.query(caller, query("workspace", sql)))).toMatch(/^query_(?:refused|failed): /);
    expect((await gateway.query(caller, query("workspace", "SELECT count(*) FROM r1"))).rows).toEqual([[900]]);
  });
});
