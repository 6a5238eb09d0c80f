// Tests which columns `policy check` warns about: those that look personal by name, by value or by declaration, and that a role sees in
// clear; and the forms of values, with their check digits.
import { describe, expect, it } from "vitest";
import { mergeTables } from "../../cli/introspection/merge.ts";
import { personalReason } from "../../cli/introspection/personal.ts";
import { describePersonalColumn, listPersonalColumns } from "../../cli/policy-report/personal-columns.ts";
import { defineGatehouse, mask } from "../../src/config/define-gatehouse.ts";

const TEXT = { type: "text", description: "d" } as const;

describe("personalReason by values", () => {
  const reasonOf = (...values: readonly string[]) => personalReason({ table: "t1", column: "c1", values });

  it.each<[string, readonly string[], string | undefined]>([
    ["IBANs", ["DE89370400440532013000", "GB82 WEST 1234 5698 7654 32"], "bank or card data"],
    ["IBANs with wrong check digits", ["DE88370400440532013000", "GB81 WEST 1234 5698 7654 32"], undefined],
    ["card numbers", ["4111 1111 1111 1111", "5500000000000004", "340000000000009"], "bank or card data"],
    ["16 digits without a check digit", ["4111111111111112", "5500000000000005"], undefined],
    ["IPv4 addresses", ["10.0.0.1", "192.168.1.255"], "a location or a device"],
    ["numbers with four parts that are no addresses", ["300.1.2.3", "999.9.9.9"], undefined],
    ["social security numbers", ["123-45-6789", "987-65-4321"], "an official number"],
    ["Spanish DNI", ["12345678Z", "00000000T"], "an official number"],
    ["eight digits with a wrong letter", ["12345678A", "00000000B"], undefined],
    ["Italian codici fiscali", ["RSSMRA85T10A562S"], "an official number"],
    ["JSON Web Tokens", ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"], "a secret"],
    ["random keys", ["q7ZxR2mPvK9sLw4TnB8yDf3HjG6cXaE1uVoI", "Zb4Nq8Wt2Kx7Rm5Lp9Cv3Hs6Fd1Gj0Ty"], "a secret"],
    ["UUIDs", ["6f1c2a9e-3b4d-4e5f-8a7b-1c2d3e4f5a6b"], undefined],
    ["SHA-256 digests", ["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"], undefined],
    [
      "names of persons",
      ["Anna Berg", "Peter Hansen", "María López", "John Smith", "Lars Nilsson", "Sofía Ruiz"],
      "a person's name",
    ],
    [
      "names of products",
      ["Blue Rope", "Steel Anchor", "Deck Paint", "Brass Cleat", "Life Vest", "Sea Chart"],
      undefined,
    ],
    ["phone numbers", ["555-123-4567", "+46 70 123 45 67"], "a phone number"],
    ["order codes", ["ORD-2026-0001", "ORD-2026-0002"], undefined],
    ["dates", ["2026-01-02", "1987-03-04"], undefined],
  ])("%s", (_name, values, reason) => {
    expect(reasonOf(...values)).toBe(reason);
  });

  it("takes numbers and UUIDs in a column for a person as references, not as names", () => {
    expect(personalReason({ table: "x", column: "created_by", values: ["ann", "bob"] })).toBe("a person");
    expect(personalReason({ table: "x", column: "created_by", values: ["17", "18"] })).toBeUndefined();
  });

  it.each([
    ["email_sent", "boolean"],
    ["password_changed", "datetime"],
    ["owner", "integer"],
  ] as const)("does not take %s of type %s for the value itself", (column, type) => {
    expect(personalReason({ table: "x", column, values: [], type })).toBeUndefined();
    expect(personalReason({ table: "x", column: column.replace(/_.*/, ""), values: [], type: "text" })).toBeDefined();
  });
});

describe("personalReason by names", () => {
  it.each([
    ["customers", "contact_first"],
    ["readers", "born"],
    ["members", "year_born"],
    ["payments", "card_last4"],
    ["doors", "access_code"],
    ["inspections", "prüfer"],
    ["inspections", "PRUEFER"],
    ["api_keys", "owner"],
    ["api_keys", "key"],
    ["orders", "remark"],
    ["users", "name"],
    ["clientes", "nombre"],
  ])("takes %s.%s for personal or secret", (table, column) => {
    expect(personalReason({ table, column, values: [] })).toBeDefined();
  });

  it.each([
    ["products", "name"],
    ["orders", "status"],
    ["orders", "country_code"],
    ["orders", "order_code"],
    ["prices", "currency_code"],
    ["user_roles", "name"],
    ["settings", "key"],
    ["files", "file_hash"],
    ["categories", "parent"],
    ["logs", "error_message"],
    ["livros", "quantidade"],
  ])("does not take %s.%s for personal", (table, column) => {
    expect(personalReason({ table, column, values: [] })).toBeUndefined();
  });
});

describe("listPersonalColumns", () => {
  const { policy } = defineGatehouse({
    organisation: { name: "T", contact: "T" },
    sources: {
      crm: {
        kind: "d1",
        binding: "X",
        title: "S",
        description: "S",
        tables: {
          people: {
            description: "P",
            columns: {
              email: TEXT,
              phone: TEXT,
              remark: { ...TEXT, personal: false },
              nest: { ...TEXT, personal: true },
              c7: TEXT,
              birthday: { ...TEXT, hidden: true },
            },
          },
          shut: { description: "H", hidden: true, columns: { email: TEXT } },
        },
      },
    },
    roles: {
      all: { description: "a", rules: [{ action: "read", datasets: ["crm.*"] }] },
      some: {
        description: "s",
        rules: [{ action: "read", datasets: ["crm.people"], masks: { email: mask.email }, hidden: ["nest", "c7"] }],
      },
    },
    members: [],
  });
  const samples = new Map([["crm.people.c7", ["ann@x.example", "bob@x.example"]]]);

  it("names each column that a role sees in clear, with the roles, and none that is acknowledged, hidden or not opened", () => {
    expect(listPersonalColumns(policy, samples)).toEqual([
      { dataset: "crm.people", column: "email", looksLike: "an email address", roles: ["all"] },
      { dataset: "crm.people", column: "phone", looksLike: "a phone number", roles: ["all", "some"] },
      { dataset: "crm.people", column: "nest", looksLike: "personal, as its declaration says", roles: ["all"] },
      { dataset: "crm.people", column: "c7", looksLike: "an email address", roles: ["all"] },
    ]);
  });

  it("names a column of a view by what introspection found that it is computed from", () => {
    const guesses = new Map([["crm.people.c7", "an email address (computed from client.email)"]]);
    expect(listPersonalColumns(policy, new Map(), guesses).at(-1)).toEqual({
      dataset: "crm.people",
      column: "c7",
      looksLike: "an email address (computed from client.email)",
      roles: ["all"],
    });
  });

  it("warns without any sampled value", () => {
    const warnings = listPersonalColumns(policy, samples).map(describePersonalColumn);
    expect(warnings.at(-1)).toBe(
      "crm.people.c7: looks like an email address, and the role all sees it in clear. " +
        "Mask or hide it, or declare it with personal: false.",
    );
    expect(warnings.join()).not.toMatch(/ann@|bob@/);
  });
});

describe("mergeTables", () => {
  it("ends the recording of keys when the key has vanished, because none could be recorded", () => {
    const column = { type: "text" } as const;
    const declared = { t: { key: "id", recordKeys: true, columns: { id: column, remark: column } } };
    expect(mergeTables(declared, declared).tables).toEqual(declared);
    const { tables } = mergeTables(declared, { t: { columns: { remark: column } } });
    expect(tables).toEqual({ t: { columns: { remark: column } } });
  });

  it("keeps an acknowledgement when the database is read again", () => {
    const column = { type: "text" as const, guess: { description: "Remark" }, hidden: true };
    const declared = { t: { description: "T", columns: { remark: { ...TEXT, personal: false } } } };
    const { tables } = mergeTables(declared, { t: { description: "T", columns: { remark: column } } });
    expect(tables["t"]?.columns["remark"]).toEqual({ ...TEXT, personal: false });
  });
});
