// The describe operation: it summarises a large database in few model tokens and reveals nothing that the user may not see.
import { countTokens } from "gpt-tokenizer";
import { describe, expect, it } from "vitest";
import { groupByPrefix } from "../../src/gateway/table-prefixes.ts";
import { defineGatehouse, mask } from "../../src/config/define-gatehouse.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { DATE, NUMBER, TEXT as TEXT_COLUMN, allow, buildPolicy, key } from "../support/policy-builder.ts";

const TEXT = { type: "text", description: "Some text that says what it is for" } as const;
const SUBJECTS =
  "order customer invoice shipment stock ticket payment product supplier contract campaign asset employee payroll audit".split(
    " ",
  );

/** The names of 500 tables; each has twenty columns. */
const TABLES = Array.from(
  { length: 500 },
  (_value, index) =>
    `${SUBJECTS[index % SUBJECTS.length]}_${["items", "history", "notes", "tags", "links"][index % 5]}_${index}`,
);

const large = defineGatehouse({
  organisation: { name: "Large", contact: "Large" },
  sources: {
    crm: {
      kind: "d1",
      binding: "SHOP_DB",
      title: "CRM",
      description: "All that there is of customers",
      tables: Object.fromEntries(
        TABLES.map((table) => [
          table,
          {
            description: `What is known of ${table.replaceAll("_", " ")}, one row each`,
            key: "c0",
            columns: Object.fromEntries(Array.from({ length: 20 }, (_value, index) => [`c${index}`, TEXT])),
          },
        ]),
      ),
    },
  },
  roles: { all: { description: "a", rules: [{ action: "read", datasets: ["crm.*"] }] } },
  members: [{ email: "all@harbor.example", name: "A", roles: ["all"] }],
});

describe("describe with a database of 500 tables", () => {
  it("leads to a table in 3 calls and 3,000 model tokens", async () => {
    const [gateway, caller] = [gatewayFor(large), callerAs("all@harbor.example")];
    const overview = await gateway.describe(caller, undefined);
    expect(JSON.stringify(overview)).toContain("crm.invoice* (34)");
    const group = await gateway.describe(caller, "crm.invoice*");
    expect(JSON.stringify(group)).toContain('"crm.invoice_notes_2"');
    const table = await gateway.describe(caller, "crm.invoice_notes_2");
    const tokens = [overview, group, table].map((answer) => countTokens(JSON.stringify(answer)));
    console.log(`model tokens of overview, group and table: ${tokens.join(", ")}`);
    expect(tokens.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(3000);
  });

  it("says when a group is too large to list, and when there is no such group", async () => {
    const [gateway, caller] = [gatewayFor(large), callerAs("all@harbor.example")];
    expect(await gateway.describe(caller, "crm.*")).toMatchObject({
      hint: "The first 60 of 500 tables. Use a longer prefix to narrow the list.",
    });
    await expect(gateway.describe(caller, "crm.zebra*")).rejects.toThrow(
      "No table of crm that you may read starts with that prefix.",
    );
    expect(await gateway.describe(caller, "crm")).toMatchObject({ groups: expect.arrayContaining(["order* (34)"]) });
  });
});

describe("groupByPrefix", () => {
  it.each([
    [
      ["order_items", "order_notes", "orders", "customer"],
      ["order* (2)", "customer", "orders"],
    ],
    [
      ["OrderItems", "OrderNotes", "Customer"],
      ["Order* (2)", "Customer"],
    ],
    [
      ["tbl_order_a", "tbl_order_b", "tbl_user"],
      ["tbl_order* (2)", "tbl_user"],
    ],
  ])("groups %j as %j", (names, groups) => {
    expect(groupByPrefix(names)).toEqual(groups);
  });
});

describe("references and examples of a column", () => {
  const RULE = { column: "secret", op: "=", value: "x" } as const;
  const config = (hidden: boolean, rows: typeof RULE | null) =>
    defineGatehouse({
      organisation: { name: "T", contact: "T" },
      sources: {
        shop: {
          kind: "d1",
          binding: "SHOP_DB",
          title: "S",
          description: "S",
          tables: {
            customers: { description: "C", hidden, columns: { id: TEXT } },
            orders: {
              description: "O",
              columns: {
                customer_id: { ...TEXT, references: "customers.id" },
                status: { ...TEXT, examples: ["planted-open"] },
                secret: { ...TEXT, hidden: true },
              },
            },
          },
        },
      },
      roles: {
        r: {
          description: "r",
          rules: [
            { action: "read", datasets: ["shop.orders"], ...(rows === null ? {} : { rows }) },
            { action: "read", datasets: ["shop.customers"] },
          ],
        },
      },
      members: [{ email: "r@harbor.example", name: "R", roles: ["r"] }],
    });

  it("appear only if the user sees the other table, or the column in clear on every row", async () => {
    const describeOrders = async (hidden: boolean, rows: typeof RULE | null = null) =>
      JSON.stringify(await gatewayFor(config(hidden, rows)).describe(callerAs("r@harbor.example"), "shop.orders"));
    expect(await describeOrders(false)).toContain('"references":"customers.id"');
    expect(await describeOrders(false)).toContain('"examples":["planted-open"]');
    expect(await describeOrders(false)).not.toContain("secret");
    expect(await describeOrders(true)).not.toContain("customers");
    expect(await describeOrders(false, RULE)).not.toContain("planted-open");
  });
});

describe("describe without sources", () => {
  it("tells any user what the operator has to do", async () => {
    const empty = defineGatehouse({
      organisation: { name: "Empty", contact: "it@empty.example" },
      sources: {},
      roles: {},
      members: [],
    });
    const overview = await gatewayFor(empty).describe(callerAs("user@empty.example"), undefined);
    expect(overview).toMatchObject({ sources: [], hint: expect.stringContaining("no data sources yet") });
    for (const text of ["Its operator declares them", "npm run introspect"])
      expect(JSON.stringify(overview)).toContain(text);
  });
});

describe("a masked column", () => {
  const employees = buildPolicy({
    tables: { employees: { id: key(NUMBER), age: NUMBER, born: DATE, email: TEXT_COLUMN, region: TEXT_COLUMN } },
    roles: {
      analyst: [
        allow("shop.employees", { masks: { age: mask.bucket(10), born: mask.year, email: mask.token("email") } }),
      ],
      north: [allow("shop.employees", { rows: { column: "region", op: "=", value: "north" } })],
    },
    members: { analyst: ["analyst"], both: ["analyst", "north"] },
  });

  it("keeps its type, and comes with its width and a made-up example", async () => {
    const [gateway, caller] = [gatewayFor(employees), callerAs("analyst@harbor.example")];
    expect(await gateway.describe(caller, "shop.employees")).toMatchObject({
      columns: [
        { name: "id", type: "integer" },
        { type: "integer", masked: "bucket(10)", shows: "40 for any value from 40 to below 50" },
        { type: "date", masked: "year", shows: "1962-01-01 for any day of 1962" },
        { type: "text", masked: "token(email)", shows: expect.stringMatching(/^tok_ and 16 letters/) },
        { name: "region" },
      ],
    });
    expect((await gateway.fetch(caller, "shop.employees", 1)).text).toContain(
      "age (integer, masked: bucket(10), shows: 40 for any value from 40 to below 50): ",
    );
  });

  it("comes with the forms that a row can have when its grants differ by row", async () => {
    const described = await gatewayFor(employees).describe(callerAs("both@harbor.example"), "shop.employees");
    expect(JSON.stringify(described)).toContain('"shows":"in clear; or, by row, 1962-01-01 for any day of 1962"');
  });
});
