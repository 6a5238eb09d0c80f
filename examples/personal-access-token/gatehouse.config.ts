// The policy for a program with a personal access token: the role `figures` reads less than the program's owner does.
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
            customer: { type: "text", description: "Full name of the customer" },
            address: { type: "text", description: "Delivery address" },
            status: { type: "text", description: "placed or shipped" },
          },
        },
      },
    },
  },
  roles: {
    dispatch: {
      description: "Reads orders with names and addresses",
      rules: [{ action: "read", datasets: ["shop.orders"] }],
    },
    figures: {
      description: "Counts orders; names and addresses hidden",
      rules: [{ action: "read", datasets: ["shop.orders"], hidden: ["customer", "address"] }],
    },
  },
  members: [
    { email: "omar@example.com", name: "Omar", roles: ["dispatch", "figures"] },
    { email: "fred@example.com", name: "Fred", roles: ["figures"] },
  ],
});
