// The policy of the analyst benchmark, with one member for each role: `owner` sees everything, `ruled` the rows of two regions and three
// branches, and `masked` the same rows with masked columns. Every row rule is on an indexed column.
import { defineGatehouse, mask } from "../../src/config/define-gatehouse.ts";
import { ACCOUNT_DOMAIN, ROLES, VISIBLE_BRANCHES, VISIBLE_REGIONS } from "./roles.ts";

const TEXT = { type: "text", description: "Text" } as const;
const NUMBER = { type: "integer", description: "Number" } as const;
const DATE = { type: "date", description: "Date" } as const;
const DATETIME = { type: "datetime", description: "Time" } as const;
const JSON_TEXT = { type: "json", description: "JSON" } as const;

const REGIONS = { column: "region", op: "in" as const, value: [...VISIBLE_REGIONS] };
const BRANCHES = { column: "branch_id", op: "in" as const, value: [...VISIBLE_BRANCHES] };
const TABLES = ["customers", "products", "orders", "events", "work_orders"].map((table) => `shop.${table}`);

export const config = defineGatehouse({
  organisation: { name: "Bench", contact: "Bench" },
  sources: {
    shop: {
      kind: "d1",
      binding: "SHOP_DB",
      title: "Shop",
      description: "Shop",
      recursion: true,
      tables: {
        customers: {
          description: "Customers",
          key: "id",
          columns: {
            id: NUMBER,
            name: TEXT,
            email: TEXT,
            phone: TEXT,
            account: TEXT,
            birth_date: DATE,
            region: TEXT,
            city: TEXT,
            segment: TEXT,
            created_at: DATETIME,
            preferences: JSON_TEXT,
          },
        },
        products: {
          description: "Products",
          key: "id",
          columns: { id: NUMBER, sku: TEXT, name: TEXT, category: TEXT, price_cents: NUMBER, attributes: JSON_TEXT },
        },
        orders: {
          description: "Orders",
          key: "id",
          columns: {
            id: NUMBER,
            customer_id: NUMBER,
            product_id: NUMBER,
            region: TEXT,
            status: TEXT,
            channel: TEXT,
            quantity: NUMBER,
            total_cents: NUMBER,
            shipping_cents: NUMBER,
            placed_at: DATETIME,
            delivered_at: DATETIME,
          },
        },
        events: {
          description: "Events",
          key: "id",
          columns: {
            id: NUMBER,
            customer_id: NUMBER,
            account: TEXT,
            region: TEXT,
            kind: TEXT,
            page: TEXT,
            occurred_at: DATETIME,
            payload: JSON_TEXT,
          },
        },
        work_orders: {
          description: "Work orders",
          key: "id",
          columns: {
            id: NUMBER,
            branch_id: NUMBER,
            technician_id: NUMBER,
            customer_id: NUMBER,
            kind: TEXT,
            minutes: NUMBER,
            opened_at: DATETIME,
            closed_at: DATETIME,
          },
        },
      },
    },
  },
  roles: {
    owner: { description: "Sees everything", rules: [{ action: "read", datasets: TABLES }] },
    ruled: {
      description: "Sees some rows",
      rules: [
        { action: "read", datasets: ["shop.customers", "shop.orders", "shop.events"], rows: REGIONS },
        { action: "read", datasets: ["shop.work_orders"], rows: BRANCHES },
        { action: "read", datasets: ["shop.products"] },
      ],
    },
    masked: {
      description: "Sees some rows, masked",
      rules: [
        {
          action: "read",
          datasets: ["shop.customers"],
          rows: REGIONS,
          masks: {
            email: mask.email,
            phone: mask.last(4),
            account: mask.token(ACCOUNT_DOMAIN),
            birth_date: mask.year,
          },
        },
        {
          action: "read",
          datasets: ["shop.orders"],
          rows: REGIONS,
          masks: { shipping_cents: mask.bucket(100), delivered_at: mask.month },
        },
        {
          action: "read",
          datasets: ["shop.events"],
          rows: REGIONS,
          masks: { account: mask.token(ACCOUNT_DOMAIN) },
        },
        { action: "read", datasets: ["shop.work_orders"], rows: BRANCHES, masks: { minutes: mask.round(15) } },
        { action: "read", datasets: ["shop.products"] },
      ],
    },
  },
  members: ROLES.map((role) => ({ email: `${role}@harbor.example`, name: role, roles: [role] })),
});
