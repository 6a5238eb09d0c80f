// Row rules: each salesperson sees the customers in their own region, and key account managers also see the largest customers.
import { defineGatehouse, sql, subject } from "../../src/config/define-gatehouse.ts";

export default defineGatehouse({
  organisation: { name: "Example Ltd", contact: "it@example.com" },
  sources: {
    crm: {
      kind: "d1",
      binding: "EXAMPLE_DB",
      title: "CRM",
      description: "Customers of Example Ltd",
      tables: {
        customers: {
          description: "One row per customer",
          key: "id",
          columns: {
            id: { type: "integer", description: "Customer number" },
            name: { type: "text", description: "Company name" },
            region: { type: "text", description: "Sales region: north, south or west" },
            revenue_cents: { type: "integer", description: "Revenue of the last twelve months in euro cents" },
          },
        },
      },
    },
  },
  roles: {
    sales: {
      description: "Sees the customers in their own region",
      rules: [
        {
          action: "read",
          datasets: ["crm.customers"],
          // Compares the column with the attribute `region` of the signed-in user.
          rows: { column: "region", op: "=", value: subject("region") },
        },
      ],
    },
    "key-accounts": {
      description: "Sees the customers with more than 50,000 euros of revenue",
      // The same kind of rule, written in SQL.
      rules: [{ action: "read", datasets: ["crm.customers"], rows: sql("revenue_cents > 5000000") }],
    },
  },
  members: [
    { email: "nora@example.com", name: "Nora", roles: ["sales"], attributes: { region: "north" } },
    // Roles are united: Kim sees the north and all large customers.
    { email: "kim@example.com", name: "Kim", roles: ["sales", "key-accounts"], attributes: { region: "north" } },
    // A rule that needs an attribute gives nothing to a user without it.
    { email: "sam@example.com", name: "Sam", roles: ["sales"] },
  ],
});
