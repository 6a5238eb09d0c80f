// The policy of the whole-call benchmark: one database, and sixteen users who see every order and customer, with masked addresses.
import { defineGatehouse } from "../../../src/config/define-gatehouse.ts";
import { config } from "../policy.ts";

export const PEOPLE = Array.from({ length: 16 }, (_value, index) => `person${index}@harbor.example`);

/** The tables of the read benchmark's policy, with limits that allow as many calls as the benchmark makes. */
export default defineGatehouse({
  organisation: config.organisation,
  limits: { rowsPerDay: 1_000_000_000, maxAuditBytes: 1_000_000_000, maxResultBytes: 200_000 },
  sources: {
    large: {
      kind: "d1",
      binding: "LARGE_DB",
      title: "Large",
      description: "Large",
      tables: Object.fromEntries(
        config.policy.datasets.flatMap((dataset) => {
          if (dataset.kind !== "table") return [];
          const { description, columns } = dataset;
          const declared = columns.map(({ name, type }) => [name, { type, description: name }] as const);
          return [[dataset.table, { description, key: "id", columns: Object.fromEntries(declared) }] as const];
        }),
      ),
    },
  },
  roles: {
    reader: {
      description: "Reads all",
      rules: [
        { action: "read", datasets: ["large.customers"], masks: { email: { kind: "email" } } },
        { action: "read", datasets: ["large.orders"] },
      ],
    },
  },
  members: PEOPLE.map((email) => ({ email, name: email, roles: ["reader"] })),
});
