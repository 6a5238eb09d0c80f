// The policy of the sample organisation, Harbor Supply: an online retailer with a shop database, an operations database and a handbook.
// It is a complete example of src/gatehouse.config.ts.
import { defineGatehouse, mask, subject } from "../src/config/define-gatehouse.ts";

const contactMasks = { email: mask.email, phone: mask.last(3), birth_date: mask.year, address: mask.token("address") };

export default defineGatehouse({
  organisation: { name: "Harbor Supply", contact: "The data team (owner@harbor.example)" },
  sources: {
    shop: {
      kind: "d1",
      binding: "SHOP_DB",
      title: "Shop",
      description:
        "Customers, products, orders, support tickets and refunds of the online shop. Data ends on 30 June 2026.",
      tables: {
        customers: {
          description: "One row per customer account.",
          key: "id",
          recordKeys: true,
          columns: {
            id: { type: "integer", description: "Customer number" },
            name: { type: "text", description: "Full name" },
            email: { type: "text", description: "Email address" },
            phone: { type: "text", description: "Phone number" },
            birth_date: { type: "date", description: "Date of birth" },
            address: { type: "text", description: "Street, postcode and town" },
            region: { type: "text", description: "Sales region: north, south, east or west" },
            segment: { type: "text", description: "consumer, trade or marina" },
            created_at: { type: "datetime", description: "When the account was opened (UTC)" },
            notes: { type: "text", description: "Free text written by staff and by customers", untrusted: true },
          },
        },
        products: {
          description: "What the shop sells.",
          key: "id",
          columns: {
            id: { type: "integer", description: "Product number" },
            sku: { type: "text", description: "Stock keeping unit, the same as in ops.stock" },
            name: { type: "text", description: "Product name" },
            category: { type: "text", description: "Product category" },
            price_cents: { type: "integer", description: "List price in euro cents" },
            active: { type: "boolean", description: "1 if it is for sale" },
          },
        },
        orders: {
          description: "One row per order.",
          key: "id",
          columns: {
            id: { type: "integer", description: "Order number" },
            customer_id: { type: "integer", description: "Whose it is", references: "customers.id" },
            status: { type: "text", description: "placed, paid, shipped, delivered, returned or cancelled" },
            placed_at: { type: "datetime", description: "When it was placed (UTC)" },
            total_cents: { type: "integer", description: "Sum of its items in euro cents" },
          },
        },
        order_items: {
          description: "One row per product in an order.",
          key: "id",
          columns: {
            id: { type: "integer", description: "Item number" },
            order_id: { type: "integer", description: "The order it belongs to", references: "orders.id" },
            product_id: { type: "integer", description: "What was ordered", references: "products.id" },
            quantity: { type: "integer", description: "Pieces" },
            unit_price_cents: { type: "integer", description: "Price of one piece in euro cents, when ordered" },
          },
        },
        tickets: {
          description: "Requests to customer support.",
          key: "id",
          columns: {
            id: { type: "integer", description: "Ticket number" },
            customer_id: { type: "integer", description: "Whose it is", references: "customers.id" },
            order_id: { type: "integer", description: "The order, if it is about one", references: "orders.id" },
            region: { type: "text", description: "Region of the customer; each region has its own support desk" },
            subject: { type: "text", description: "Subject line, written by the customer", untrusted: true },
            body: { type: "text", description: "Text, written by the customer", untrusted: true },
            status: { type: "text", description: "open, pending or closed" },
            priority: { type: "text", description: "low, normal or high" },
            opened_at: { type: "datetime", description: "When it was opened (UTC)" },
            closed_at: { type: "datetime", description: "When it was closed (UTC); null while open" },
          },
        },
        refunds: {
          description: "Refunds paid or asked for.",
          key: "id",
          columns: {
            id: { type: "integer", description: "Refund number" },
            order_id: { type: "integer", description: "The order it belongs to", references: "orders.id" },
            amount_cents: { type: "integer", description: "Amount in euro cents" },
            reason: { type: "text", description: "damaged, late, wrong item, changed mind or goodwill" },
            status: { type: "text", description: "requested, approved, paid or rejected" },
            created_at: { type: "datetime", description: "When it was asked for (UTC)" },
          },
        },
      },
    },
    ops: {
      kind: "d1",
      binding: "OPS_DB",
      title: "Operations",
      description: "Warehouses, their stock, and shipments. Data ends on 30 June 2026.",
      tables: {
        warehouses: {
          description: "Where goods are kept.",
          key: "id",
          columns: {
            id: { type: "integer", description: "Warehouse number" },
            code: { type: "text", description: "Short code" },
            town: { type: "text", description: "Town" },
            region: { type: "text", description: "Region it serves first" },
            capacity_pallets: { type: "integer", description: "Pallets it can hold" },
          },
        },
        stock: {
          description: "Pieces of each product in each warehouse.",
          columns: {
            warehouse_id: { type: "integer", description: "The warehouse", references: "warehouses.id" },
            sku: { type: "text", description: "Stock keeping unit, the same as in shop.products" },
            on_hand: { type: "integer", description: "Pieces on the shelf" },
            reserved: { type: "integer", description: "Pieces promised to orders" },
            reorder_level: { type: "integer", description: "Below this, more is ordered" },
            counted_on: { type: "date", description: "Day of the last count" },
          },
        },
        shipments: {
          description: "Parcels sent to customers.",
          key: "id",
          columns: {
            id: { type: "integer", description: "Shipment number" },
            order_id: { type: "integer", description: "Order number in shop.orders" },
            warehouse_id: { type: "integer", description: "The warehouse", references: "warehouses.id" },
            carrier: { type: "text", description: "Carrier" },
            shipped_at: { type: "datetime", description: "When it left (UTC)" },
            delivered_at: { type: "datetime", description: "When it arrived (UTC); null while under way" },
            weight_grams: { type: "integer", description: "Weight in grams" },
          },
        },
      },
    },
    handbook: {
      kind: "kv",
      binding: "HANDBOOK",
      title: "Handbook",
      description: "Policies, runbooks and product notes of Harbor Supply, in Markdown.",
    },
  },
  queries: {
    "revenue-by-month": {
      description: "Revenue in euro cents and number of orders by month, without cancelled orders.",
      source: "shop",
      sql:
        "SELECT substr(placed_at, 1, 7) AS month, count(*) AS orders, sum(total_cents) AS revenue_cents FROM orders " +
        "WHERE placed_at >= :since AND status <> 'cancelled' GROUP BY month ORDER BY month",
      params: { since: { type: "date", description: "first day" } },
    },
  },
  roles: {
    analyst: {
      description: "Reads all figures; contact data masked, notes hidden.",
      queries: ["revenue-by-month"],
      rules: [
        { action: "read", datasets: ["shop.customers"], masks: contactMasks, hidden: ["notes"] },
        {
          action: "read",
          datasets: ["shop.products", "shop.orders", "shop.order_items", "shop.tickets", "shop.refunds"],
        },
        { action: "read", datasets: ["ops.*", "handbook"] },
      ],
    },
    support: {
      description: "Helps the customers of one region.",
      rules: [
        {
          action: "read",
          datasets: ["shop.customers"],
          rows: { column: "region", op: "=", value: subject("region") },
          hidden: ["notes"],
        },
        { action: "read", datasets: ["shop.tickets"], rows: { column: "region", op: "=", value: subject("region") } },
        { action: "read", datasets: ["shop.products", "shop.refunds", "handbook"] },
        {
          action: "change",
          datasets: ["shop.tickets"],
          operations: ["update"],
          columns: {
            status: { oneOf: ["open", "pending", "closed"] },
            priority: { oneOf: ["low", "normal", "high"] },
            closed_at: { nullable: true },
          },
          maxRows: 5,
          approval: "requester",
        },
        {
          action: "change",
          datasets: ["shop.refunds"],
          operations: ["insert"],
          columns: {
            order_id: { min: 1 },
            amount_cents: { min: 1, max: 50_000 },
            reason: { oneOf: ["damaged", "late", "wrong item", "changed mind", "goodwill"] },
            status: { oneOf: ["requested"] },
            created_at: {},
          },
          approval: { reviewers: ["refund-reviewer"] },
        },
      ],
    },
    "refund-reviewer": {
      description: "Approves refunds that support asks for.",
      rules: [{ action: "read", datasets: ["shop.orders", "shop.refunds"] }],
    },
    owner: {
      description: "Reads everything, and adds and removes members.",
      administers: true,
      audits: true,
      rules: [{ action: "read", datasets: ["shop.*", "ops.*", "handbook"] }],
    },
  },
  members: [
    { email: "analyst@harbor.example", name: "Ada, analyst", roles: ["analyst"] },
    {
      email: "support@harbor.example",
      name: "Sol, support desk north",
      roles: ["support"],
      attributes: { region: "north" },
    },
    { email: "reviewer@harbor.example", name: "Rune, reviewer", roles: ["analyst", "refund-reviewer"] },
    { email: "owner@harbor.example", name: "Oda, owner", roles: ["owner"] },
    { email: "guest@harbor.example", name: "Gil, guest without a role", roles: [] },
  ],
});
