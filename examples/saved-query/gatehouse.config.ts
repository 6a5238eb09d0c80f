// A saved query: analysts write SQL of their own, the board runs only the operator's query.
import { defineGatehouse } from "../../src/config/define-gatehouse.ts";

export default defineGatehouse({
  organisation: { name: "Example Ltd", contact: "it@example.com" },
  sources: {
    shop: {
      kind: "d1",
      binding: "EXAMPLE_DB",
      title: "Shop",
      description: "Orders of Example Ltd",
      tables: {
        orders: {
          description: "One row per order",
          key: "id",
          columns: {
            id: { type: "integer", description: "Order number" },
            customer: { type: "text", description: "Company name" },
            placed_on: { type: "date", description: "Day on which it was placed" },
            status: { type: "text", description: "placed, delivered or cancelled" },
            total_cents: { type: "integer", description: "Total in euro cents" },
          },
        },
      },
    },
  },
  queries: {
    "revenue-by-month": {
      description: "Number of orders and revenue in euro cents by month, without cancelled orders",
      source: "shop",
      sql: `SELECT substr(placed_on, 1, 7) AS month, count(*) AS orders, sum(total_cents) AS revenue_cents
        FROM orders WHERE placed_on >= :since AND status <> 'cancelled' GROUP BY month ORDER BY month`,
      params: { since: { type: "date", description: "first day" } },
    },
  },
  roles: {
    analyst: {
      description: "Reads all orders",
      queries: ["revenue-by-month"],
      rules: [{ action: "read", datasets: ["shop.orders"] }],
    },
    board: {
      description: "Runs the saved queries for monthly figures",
      queries: ["revenue-by-month"],
      // The rules count inside the saved queries only: no other SQL, no rows, no tables.
      savedOnly: true,
      rules: [{ action: "read", datasets: ["shop.orders"], hidden: ["customer"] }],
    },
  },
  members: [
    { email: "ada@example.com", name: "Ada", roles: ["analyst"] },
    { email: "bo@example.com", name: "Bo", roles: ["board"] },
  ],
});
