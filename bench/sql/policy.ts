// The policy of the read benchmark, with three users: `all` sees every row with masked addresses, `north` the rows of one region, and
// `tokens` sees addresses as masking tokens.
import { defineGatehouse, mask } from "../../src/config/define-gatehouse.ts";

const TEXT = { type: "text", description: "Text" } as const;
const NUMBER = { type: "integer", description: "Number" } as const;
const DATETIME = { type: "datetime", description: "Time" } as const;
const NORTH = { column: "region", op: "=", value: "north" } as const;

export const config = defineGatehouse({
  organisation: { name: "Bench", contact: "Bench" },
  sources: {
    large: {
      kind: "d1",
      binding: "LARGE_DB",
      title: "Large",
      description: "Large",
      tables: {
        customers: {
          description: "Customers",
          key: "id",
          columns: { id: NUMBER, name: TEXT, email: TEXT, region: TEXT, segment: TEXT },
        },
        visits: { description: "Visits", key: "id", columns: { id: NUMBER, email: TEXT, page: TEXT } },
        orders: {
          description: "Orders",
          key: "id",
          columns: {
            id: NUMBER,
            customer_id: NUMBER,
            region: TEXT,
            status: TEXT,
            total_cents: NUMBER,
            placed_at: DATETIME,
          },
        },
      },
    },
  },
  roles: {
    all: {
      description: "a",
      rules: [
        { action: "read", datasets: ["large.customers"], masks: { email: mask.email } },
        { action: "read", datasets: ["large.orders"] },
      ],
    },
    tokens: {
      description: "t",
      rules: [
        { action: "read", datasets: ["large.customers", "large.visits"], masks: { email: mask.token("email") } },
        { action: "read", datasets: ["large.orders"] },
      ],
    },
    north: {
      description: "n",
      rules: [
        { action: "read", datasets: ["large.customers"], masks: { email: mask.email }, rows: NORTH },
        { action: "read", datasets: ["large.orders"], rows: NORTH },
      ],
    },
  },
  members: ["all", "north", "tokens"].map((role) => ({ email: `${role}@harbor.example`, name: role, roles: [role] })),
});
