// The policy for the tool `overdue-invoices`: finance sees all invoices, sales those of their own region.
import { defineGatehouse, subject } from "../../src/config/define-gatehouse.ts";

export default defineGatehouse({
  organisation: { name: "Example Ltd", contact: "it@example.com" },
  sources: {
    billing: {
      kind: "d1",
      binding: "EXAMPLE_DB",
      title: "Billing",
      description: "Invoices of Example Ltd",
      tables: {
        invoices: {
          description: "One row per invoice",
          key: "id",
          columns: {
            id: { type: "integer", description: "Invoice number" },
            customer: { type: "text", description: "Company name" },
            region: { type: "text", description: "Sales region of the customer: north or south" },
            amount_cents: { type: "integer", description: "Amount in euro cents" },
            due_on: { type: "date", description: "Day on which payment is due" },
            paid_on: { type: "date", description: "Day of payment; null while unpaid" },
          },
        },
      },
    },
  },
  roles: {
    finance: {
      description: "Sees all invoices",
      rules: [{ action: "read", datasets: ["billing.invoices"] }],
    },
    sales: {
      description: "Sees the invoices of their own region",
      rules: [
        {
          action: "read",
          datasets: ["billing.invoices"],
          rows: { column: "region", op: "=", value: subject("region") },
        },
      ],
    },
  },
  members: [
    { email: "fay@example.com", name: "Fay", roles: ["finance"] },
    { email: "nora@example.com", name: "Nora", roles: ["sales"], attributes: { region: "north" } },
    { email: "gil@example.com", name: "Gil, who has no role", roles: [] },
  ],
});
