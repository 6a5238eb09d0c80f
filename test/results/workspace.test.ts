// Stored results: exact, pageable, joinable across databases, and deleted as soon as today's grants no longer cover the grants
// that they were read under.
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { mask, subject } from "../../src/config/define-gatehouse.ts";
import { AppError } from "../../src/errors.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { NUMBER, TEXT, allow, buildPolicy, deny } from "../support/policy-builder.ts";
import type { PolicyParts, Rule } from "../support/policy-builder.ts";
import { SECRETS, seedShop } from "../support/seed.ts";

const EMAIL = "reader@harbor.example";

const CUSTOMERS = "shop.customers";
const NORTH = { column: "region", op: "=", value: subject("region") } as const;

/** One reader with these rules. */
const world = (rules: readonly Rule[], region = "north", limits: PolicyParts["limits"] = {}) =>
  buildPolicy({
    limits,
    tables: {
      customers: { id: NUMBER, name: TEXT, email: TEXT, region: TEXT, notes: { ...TEXT, untrusted: true } },
      orders: { id: NUMBER, customer_id: NUMBER, total_cents: NUMBER },
    },
    sources: { ops: { binding: "OPS_DB", tables: { warehouses: { id: NUMBER, town: TEXT, region: TEXT } } } },
    roles: { reader: rules, other: [] },
    members: { reader: { roles: ["reader"], attributes: { region } }, none: ["other"] },
  });

const ALL = [allow(["shop.*", "ops.*"])];

const buildQuery = (source: string, sql: string, limit?: number) => ({
  target: { source, sql },
  params: [],
  rowLimit: limit,
});

const buildResult = (call: string, number: number, rows: readonly string[] = ["[1]"]) => ({
  call,
  number,
  ownerId: "owner",
  columns: [{ name: "a", types: [] }],
  rows,
  pages: [0],
  origin: "{}",
});

async function failure(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    (answer) => new Error(`answered ${JSON.stringify(answer)}`),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof AppError)) throw error;
  return `${error.code}: ${error.publicMessage}`;
}

beforeAll(seedShop);

describe("a stored result", () => {
  it("joins with a result of another database and names the rules of both", async () => {
    const [gateway, caller] = [gatewayFor(world(ALL)), callerAs(EMAIL)];
    const first = await gateway.query(caller, buildQuery("shop", "SELECT id, region FROM customers"));
    const second = await gateway.query(caller, buildQuery("ops", "SELECT town, region FROM warehouses"));
    expect([first.result, second.result]).toEqual(["r1", "r2"]);
    const joined = await gateway.query(
      caller,
      buildQuery("workspace", "SELECT r1.id, town FROM r1 JOIN r2 ON r1.region = r2.region ORDER BY 1"),
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

  it("preserves every value exactly", async () => {
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
    await gateway.query(caller, buildQuery("shop", `SELECT ${columns.join(", ")}`));
    const storedExpressions = values.map((_value, index) => `typeof(c${index}) || ' ' || quote(c${index})`);
    const directExpressions = values.map((value) => `typeof(${value}) || ' ' || quote(${value})`);
    const [stored, direct] = await Promise.all([
      gateway.query(caller, buildQuery("workspace", `SELECT ${storedExpressions.join(", ")} FROM r1`)),
      env.SHOP_DB.prepare(`SELECT ${directExpressions.join(", ")}`).raw(),
    ]);
    expect(stored.rows).toEqual(direct);
    const encoded = await gateway.query(caller, buildQuery("workspace", "SELECT c0, c2, c7, c9, c2 / 2 FROM r1"));
    expect(encoded.rows).toEqual([["9223372036854775807", 5, "Infinity", "AP8Q", 2.5]]);
    expect(encoded.encoded).toEqual(["c0: integer as text", "c7: real as text", "c9: base64"]);
  });

  it("has unique column names that SQL can use", async () => {
    const [gateway, caller] = [gatewayFor(world(ALL)), callerAs(EMAIL)];
    const sql = 'SELECT 1 AS a, 2 AS A, 3 AS "", 4 AS "a_1", 5 AS "x""y", count(*) FROM customers';
    const { columns } = await gateway.query(caller, buildQuery("shop", sql));
    expect(columns).toEqual(["a", "A_1", "column_3", "a_1_2", 'x"y', "count(*)"]);
    const read = await gateway.query(
      caller,
      buildQuery("workspace", 'SELECT a, A_1, column_3, "x""y", "count(*)" FROM r1'),
    );
    expect(read.rows).toEqual([[1, 2, 3, 5, 3]]);
  });

  it("is fetched as CSV in pages of whole rows", async () => {
    const limits = { defaultRows: 2, shownRows: 4, storedRows: 9 };
    const [gateway, caller] = [gatewayFor(world(ALL, "north", limits)), callerAs(EMAIL)];
    const sql = "SELECT value AS n, 'a,\"' || value AS t FROM json_each('[1,2,3,4,5,6,7,8,9,10,11]')";
    const answer = await gateway.query(caller, buildQuery("shop", sql));
    expect(answer).toMatchObject({
      rows: [
        [1, 'a,"1'],
        [2, 'a,"2'],
      ],
      count: { shown: 2, kept: 9, atLeast: 10 },
    });
    expect(answer.cut).toBe(
      [
        "2 of at least 10 rows shown. 9 rows are stored as r1: fetch it, or query it as a table of source workspace.",
        "To cover all rows, aggregate or filter in SQL.",
      ].join(" "),
    );
    expect(await gateway.fetch(caller, "r1", 3)).toMatchObject({
      text: 'n,t\n9,"a,""9"\n',
      metadata: { page: 3, pages: 3, rows: 9, sql, columns: ["n: integer", "t: text"] },
    });
    expect((await gateway.readResource(caller, "gatehouse://result/r1/2")).notes).toEqual([
      "Page 2 of 3. The next page is gatehouse://result/r1/3.",
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

  it("is limited in bytes, shown and stored", async () => {
    const limits = { storedBytes: 100_000, maxResultBytes: 50_000 };
    const [gateway, caller] = [gatewayFor(world(ALL, "north", limits)), callerAs(EMAIL)];
    const large = "SELECT printf('%.*c', 9000, 'x') AS t FROM json_each('[1,2,3,4,5,6,7,8,9,10,11,12,13,14]')";
    const { count, cut } = await gateway.query(caller, buildQuery("shop", large));
    expect(count).toEqual({ shown: 5, kept: 11, atLeast: 12 });
    expect(cut).toMatch(
      /^5 of at least 12 rows shown\. 11 rows are stored as r1: .* To cover all rows, aggregate or filter in SQL\.$/,
    );
    expect((await gateway.query(caller, buildQuery("workspace", "SELECT count(*) FROM r1"))).rows).toEqual([[11]]);
  });

  it("is deleted, oldest first, when the number or the bytes of results exceed their limit", async () => {
    const object = env.WORKSPACE.get(env.WORKSPACE.idFromName(crypto.randomUUID()));
    const calls: string[] = [];
    const store = async (call: string, rows: string[]) => {
      calls.push(call);
      await object.keep(buildResult(call, calls.length, rows), calls);
    };
    for (let index = 1; index <= 51; index += 1) await store(String(index), ["[1]"]);
    const listIds = async () => (await object.open([], calls)).results.map(({ id }) => id);
    expect([(await listIds()).length, (await listIds())[0], (await listIds()).at(-1)]).toEqual([50, "r2", "r51"]);
    const megabyte = JSON.stringify(["x".repeat(1_000_000)]);
    for (const call of ["a", "b", "c"])
      await store(
        call,
        Array.from({ length: 9 }, () => megabyte),
      );
    expect(await listIds()).toEqual(["r53", "r54"]);
    await object.open(["r54"]);
    expect(await object.run([{ sql: "SELECT count(*) AS n FROM r54", parameters: [] }])).toEqual([[{ n: 9 }]]);
  });

  it("is stored once when the same call stores it twice", async () => {
    const object = env.WORKSPACE.get(env.WORKSPACE.idFromName(crypto.randomUUID()));
    const result = buildResult("one", 1);
    await object.keep(result, []);
    expect(await object.keep(result, [])).toEqual({ ok: true });
    expect((await object.open([], ["one"])).results.map(({ id }) => id)).toEqual(["r1"]);
  });

  it("is deleted by the alarm when it expires", async () => {
    const object = env.WORKSPACE.get(env.WORKSPACE.idFromName(crypto.randomUUID()));
    await object.keep(buildResult("one", 1), []);
    await object.open(["r1"], ["one"]);
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
      expect([...storage.kv.list()]).toEqual([
        ["index", { counter: 1, entries: [] }],
        ["layout", 1],
      ]);
    });
    expect(await object.open([])).toEqual({ results: [], objects: [] });
  });

  it("is not available to another user", async () => {
    const gateway = gatewayFor(world(ALL));
    await gateway.query(callerAs(EMAIL), buildQuery("shop", "SELECT * FROM customers"));
    expect(await failure(gateway.query(callerAs(EMAIL), buildQuery("workspace", "SELECT * FROM r1")))).toMatch(
      /^query_failed: There is no result r1\. Results are deleted when they expire/,
    );
    expect(await failure(gateway.fetch(callerAs("none@harbor.example"), "r1", 1))).toMatch(/^not_found/);
  });
});

describe("a stored result, when its grant changes", () => {
  const narrowerRules: readonly (readonly [string, readonly Rule[]])[] = [
    ["no rule grants the table", [allow(["ops.*", "shop.orders"])]],
    ["a rule denies the table", [...ALL, deny(CUSTOMERS)]],
    ["a rule hides a column", [allow(CUSTOMERS, { hidden: ["email"] })]],
    ["a rule denies a column", [...ALL, deny(CUSTOMERS, ["email"])]],
    ["a rule masks a column", [allow(CUSTOMERS, { masks: { email: mask.email } })]],
    ["a rule restricts the rows", [allow(CUSTOMERS, { rows: NORTH })]],
  ];

  it.each(narrowerRules)("is deleted with all results computed from it when %s", async (_name, rules) => {
    const caller = callerAs(EMAIL);
    const before = gatewayFor(world(ALL));
    await before.query(caller, buildQuery("shop", "SELECT email FROM customers"));
    await before.query(caller, buildQuery("workspace", "SELECT count(*) AS n FROM r1"));
    await before.query(caller, buildQuery("shop", "SELECT 1 AS one"));
    const after = gatewayFor(world(rules));
    for (const id of ["r1", "r2"]) {
      expect(await failure(after.query(caller, buildQuery("workspace", `SELECT * FROM ${id}`)))).toMatch(
        /no result r[12]\./,
      );
      expect(await failure(after.fetch(caller, id, 1))).toMatch(/^not_found/);
      expect(await failure(after.readResource(caller, `gatehouse://result/${id}`))).toMatch(/^not_found/);
      expect(await failure(after.describe(caller, `workspace.${id}`))).toMatch(/^not_found/);
    }
    expect((await after.search(caller, "email", 50)).results.filter(({ id }) => id.startsWith("r"))).toEqual([]);
    expect((await after.query(caller, buildQuery("workspace", "SELECT * FROM r3"))).rows).toEqual([[1]]);
    // The result does not return with the grant, and its id is not reused.
    expect(await failure(before.fetch(caller, "r1", 1))).toMatch(/^not_found/);
    expect((await before.query(caller, buildQuery("shop", "SELECT 2"))).result).toBe("r5");
  });

  it("is deleted when the user's attribute changes the rows of the rule", async () => {
    const caller = callerAs(EMAIL);
    const rules = [allow(CUSTOMERS, { rows: NORTH })];
    await gatewayFor(world(rules)).query(caller, buildQuery("shop", "SELECT name FROM customers"));
    expect(await failure(gatewayFor(world(rules, "south")).fetch(caller, "r1", 1))).toMatch(/^not_found/);
  });

  it("stays when the grant is unchanged or wider", async () => {
    const caller = callerAs(EMAIL);
    const narrow = [allow(CUSTOMERS, { rows: NORTH, masks: { email: mask.email } })];
    await gatewayFor(world(narrow)).query(caller, buildQuery("shop", "SELECT name, email FROM customers ORDER BY id"));
    for (const rules of [narrow, ALL]) {
      const { text } = await gatewayFor(world(rules)).fetch(caller, "r1", 1);
      expect(text).toBe("name,email\nNora North,n…@north.example\nNils North,n…@north.example\n");
    }
  });
});

describe("a result computed from a result", () => {
  it("inherits its masks, row restrictions and untrusted columns", async () => {
    const rules = [allow(CUSTOMERS, { rows: NORTH, masks: { email: mask.email } })];
    const [gateway, caller] = [gatewayFor(world(rules)), callerAs(EMAIL)];
    await gateway.query(caller, buildQuery("shop", "SELECT email, notes FROM customers"));
    const derived = await gateway.query(
      caller,
      buildQuery("workspace", "SELECT upper(notes) AS n FROM r1 WHERE notes > '' AND email > ''"),
    );
    const expected = { restricted: ["shop.customers"], masked: ["shop.customers.email:email"] };
    expect(derived).toMatchObject({ ...expected, untrusted: ["shop.customers.notes"] });
    expect(derived.rows).toEqual([[`⟦${SECRETS.note.toUpperCase()}⟧`]]);
    expect((await gateway.fetch(caller, "r2", 1)).text).toBe(`n\n⟦${SECRETS.note.toUpperCase()}⟧\n`);
    const ledger = env.LEDGER.get(env.LEDGER.idFromName(caller.identity.subjectId));
    const outcomes = (await ledger.listRecords(0, 10)).map(({ body }): unknown => JSON.parse(body).outcome);
    expect(outcomes[1]).toMatchObject({
      kept: "r2",
      rows: 1,
      datasets: ["shop.customers"],
      untrusted: ["shop.customers.notes"],
    });
    expect(outcomes[2]).toMatchObject({ kept: null, rows: 1, untrusted: ["shop.customers.notes"] });
    expect(JSON.stringify(await ledger.listRecords(0, 10))).not.toContain(SECRETS.note);
  });
});

describe("a result computed from an incomplete result", () => {
  it("names the incomplete result, directly and through other results", async () => {
    const [gateway, caller] = [
      gatewayFor(world(ALL, "north", { storedRows: 2, shownRows: 2, defaultRows: 2 })),
      callerAs(EMAIL),
    ];
    const numbers = await gateway.query(caller, buildQuery("shop", "SELECT value AS n FROM json_each('[1,2,3,4]')"));
    expect(numbers.count).toEqual({ shown: 2, kept: 2, atLeast: 3 });
    expect(numbers.incomplete).toBeUndefined();
    const incomplete = ["r1 has 2 of at least 3 rows"];
    const sum = await gateway.query(caller, buildQuery("workspace", "SELECT sum(n) AS s FROM r1"));
    expect(sum).toMatchObject({ rows: [[3]], incomplete });
    expect(await gateway.query(caller, buildQuery("workspace", "SELECT s * 2 FROM r2"))).toMatchObject({ incomplete });
    expect(await gateway.describe(caller, "r1")).toMatchObject({
      description: "2 of at least 3 rows of shop: SELECT value AS n FROM json_each('[1,2,3,4]')",
      incomplete,
    });
    expect(await gateway.describe(caller, "r3")).toMatchObject({ incomplete });
    expect((await gateway.fetch(caller, "r2", 1)).metadata).toMatchObject({ rows: 1, incomplete });
    expect((await gateway.readResource(caller, "gatehouse://result/r2")).notes).toEqual([
      "Not all rows: r1 has 2 of at least 3 rows.",
    ]);
    const whole = await gateway.query(caller, buildQuery("shop", "SELECT count(*) FROM customers"));
    expect(whole.incomplete).toBeUndefined();
    expect(await gateway.describe(caller, "r4")).not.toHaveProperty("incomplete");
    const union = await gateway.query(caller, buildQuery("workspace", "SELECT * FROM r1 UNION ALL SELECT * FROM r3"));
    expect(union.incomplete).toEqual(incomplete);
  });
});

describe("an error that another role would not fix", () => {
  it("has no role hint", async () => {
    const [gateway, caller] = [gatewayFor(world(ALL)), callerAs(EMAIL)];
    const readError = (source: string, sql: string) => failure(gateway.query(caller, buildQuery(source, sql)));
    expect(await readError("workspace", "SELECT * FROM r99")).toMatch(
      /^query_failed: There is no result r99\..*(?<!roles\.)$/,
    );
    expect(await readError("shop", 'SELECT name FROM customers WHERE region = "north"')).toMatch(
      /If it is text, put it in single quotes\..*(?<!roles\.)$/,
    );
    expect(await readError("shop", "SELECT name FROM shop.customers")).toBe(
      "query_failed: Write the table's name without the source before it: customers.",
    );
    expect(await readError("shops", "SELECT 1")).toContain(
      '"shops" that you may query. Did you mean shop? Available sources: shop, ops, workspace.',
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
  ])("is refused or fails like any other: %s", async (sql) => {
    const [gateway, caller] = [gatewayFor(world(ALL)), callerAs(EMAIL)];
    const numbers = Array.from({ length: 900 }, (_value, index) => index);
    await gateway.query(caller, buildQuery("shop", `SELECT value FROM json_each('${JSON.stringify(numbers)}')`));
    expect(await failure(gateway.query(caller, buildQuery("workspace", sql)))).toMatch(/^query_(?:refused|failed): /);
    expect((await gateway.query(caller, buildQuery("workspace", "SELECT count(*) FROM r1"))).rows).toEqual([[900]]);
  });
});
