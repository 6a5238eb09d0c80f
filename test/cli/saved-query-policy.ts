// A policy with one saved query, for tests of what `policy check` and `npm start` say about it. Node loads it outside the test runner too.
import { defineGatehouse } from "../../src/config/define-gatehouse.ts";
import type { GatehouseInput } from "../../src/config/define-gatehouse.ts";

const TEXT = { type: "text", description: "Text" } as const;
/** Reads people without their addresses. */
export const READ_PEOPLE = { action: "read" as const, datasets: ["shop.people"], hidden: ["email"] };

/** Builds the policy of the query, with roles beside the one that reads everything. */
export function policyWith(sql: string, roles: GatehouseInput["roles"] = {}, params: readonly string[] = []) {
  return defineGatehouse({
    organisation: { name: "T", contact: "T" },
    sources: {
      shop: {
        kind: "d1",
        binding: "X",
        title: "S",
        description: "S",
        tables: {
          people: {
            description: "P",
            columns: { id: { ...TEXT, type: "integer" }, email: TEXT, region: TEXT, notes: { ...TEXT, hidden: true } },
          },
          orders: { description: "O", columns: { id: TEXT, person: TEXT } },
          secrets: { description: "H", hidden: true, columns: { id: TEXT } },
        },
      },
    },
    roles: {
      analyst: { description: "A", rules: [{ action: "read", datasets: ["shop.people", "shop.orders"] }] },
      ...roles,
    },
    members: [],
    queries: {
      report: {
        description: "R",
        source: "shop",
        sql,
        params: Object.fromEntries(params.map((name) => [name, { type: "text" as const, description: "d" }])),
      },
    },
  }).policy;
}
