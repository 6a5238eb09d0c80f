// A shop whose tables count as large: a million orders, 100,000 customers and 200,000 events. Gatehouse estimates sizes by statistics, so
// the rows between the first and the last need not exist, and tests of estimates run at once.
import { mask } from "../../src/config/define-gatehouse.ts";
import { pretendRows } from "./pretend-rows.ts";
import { DATE, DATETIME, NUMBER, TEXT, allow, buildPolicy, key } from "./policy-builder.ts";

const ORDERS = { column: "region", op: "in" as const, value: ["north", "east"] };
const BRANCHES = { column: "branch_id", op: "in" as const, value: [1, 2, 3] };
const PEOPLE = ["shop.customers", "shop.orders", "shop.events"];

/** The roles of the shop: `owner` sees everything, `ruled` some rows, and `masked` the same rows with masked columns. */
export const LARGE_SHOP_ROLES = ["owner", "ruled", "masked"] as const;

/** The policy of the shop. */
export const largeShopConfig = buildPolicy({
  sources: {
    shop: {
      binding: "SHOP_DB",
      recursion: true,
      tables: {
        customers: {
          id: key(NUMBER),
          name: TEXT,
          email: TEXT,
          birth_date: DATE,
          region: TEXT,
          city: TEXT,
          segment: TEXT,
          created_at: DATETIME,
        },
        products: { id: key(NUMBER), sku: TEXT, name: TEXT, category: TEXT, price_cents: NUMBER },
        orders: {
          id: key(NUMBER),
          customer_id: NUMBER,
          product_id: NUMBER,
          region: TEXT,
          status: TEXT,
          channel: TEXT,
          quantity: NUMBER,
          total_cents: NUMBER,
          placed_at: DATETIME,
        },
        events: {
          id: key(NUMBER),
          customer_id: NUMBER,
          region: TEXT,
          kind: TEXT,
          page: TEXT,
          occurred_at: DATETIME,
          payload: TEXT,
        },
        work_orders: {
          id: key(NUMBER),
          branch_id: NUMBER,
          technician_id: NUMBER,
          minutes: NUMBER,
          opened_at: DATETIME,
          closed_at: DATETIME,
        },
      },
    },
  },
  roles: {
    owner: [allow([...PEOPLE, "shop.products", "shop.work_orders"])],
    ruled: [allow(PEOPLE, { rows: ORDERS }), allow("shop.work_orders", { rows: BRANCHES }), allow("shop.products")],
    masked: [
      allow("shop.customers", { rows: ORDERS, masks: { email: mask.email, birth_date: mask.year } }),
      allow(["shop.orders", "shop.events"], { rows: ORDERS }),
      allow("shop.work_orders", { rows: BRANCHES, masks: { minutes: mask.round(15) } }),
      allow("shop.products"),
    ],
  },
});

const SCHEMA = [
  `CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, email TEXT, birth_date TEXT, region TEXT, city TEXT, segment TEXT,
    created_at TEXT)`,
  "CREATE TABLE products (id INTEGER PRIMARY KEY, sku TEXT, name TEXT, category TEXT, price_cents INTEGER)",
  `CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, product_id INTEGER, region TEXT, status TEXT, channel TEXT,
    quantity INTEGER, total_cents INTEGER, placed_at TEXT)`,
  `CREATE TABLE events (id INTEGER PRIMARY KEY, customer_id INTEGER, region TEXT, kind TEXT, page TEXT, occurred_at TEXT,
    payload TEXT)`,
  `CREATE TABLE work_orders (id INTEGER PRIMARY KEY, branch_id INTEGER, technician_id INTEGER, minutes INTEGER, opened_at TEXT,
    closed_at TEXT)`,
];

/** The indexed columns, and how many rows have the same value. */
const INDEXES: readonly (readonly [table: string, column: string, rowsPerValue: number])[] = [
  ["customers", "email", 1],
  ["customers", "region", 25_000],
  ["customers", "created_at", 1],
  ["products", "category", 50],
  ["orders", "customer_id", 11],
  ["orders", "product_id", 2000],
  ["orders", "region", 250_000],
  ["orders", "placed_at", 1],
  ["events", "customer_id", 2],
  ["events", "region", 50_000],
  ["events", "occurred_at", 1],
  ["work_orders", "branch_id", 2500],
  ["work_orders", "opened_at", 1],
];

const SIZES: Readonly<Record<string, number>> = {
  customers: 100_000,
  products: 500,
  orders: 1_000_000,
  events: 200_000,
  work_orders: 30_000,
};

/** Creates the tables, each with its first and its last row only, and statistics: of all indexes, or only the numbers of rows. */
export async function createLargeShop(database: D1Database, hasStatistics: boolean): Promise<void> {
  await database.batch(
    [
      ...Object.keys(SIZES).map((table) => `DROP TABLE IF EXISTS ${table}`),
      ...SCHEMA,
      ...INDEXES.map(([table, column]) => `CREATE INDEX ${table}_${column} ON ${table} (${column})`),
      ...Object.entries(SIZES).map(([table, rows]) => `INSERT INTO ${table} (id) VALUES (1), (${rows})`),
    ].map((sql) => database.prepare(sql)),
  );
  if (!hasStatistics) {
    await pretendRows(database, SIZES);
    return;
  }
  await database.prepare("ANALYZE").run();
  await database.batch(
    INDEXES.map(([table, column, rowsPerValue]) =>
      database
        .prepare("UPDATE sqlite_stat1 SET stat = ?2 WHERE idx = ?1")
        .bind(`${table}_${column}`, `${SIZES[table] ?? 0} ${rowsPerValue}`),
    ),
  );
}
