// Generates the sample's shop database: customers, products, orders with their items, tickets and refunds.
import type { Table } from "./table.ts";
import type { Random } from "./random.ts";
import { daysBefore } from "./time.ts";
import {
  FIRST_NAMES,
  GOODS,
  HOSTILE_TEXTS,
  LAST_NAMES,
  LINES,
  MAIL_DOMAINS,
  REGIONS,
  STAFF_NOTES,
  STREETS,
  TICKET_SUBJECTS,
  TOWNS,
} from "./words.ts";
import type { Region } from "./words.ts";

const CUSTOMER_COUNT = 2000;
const PRODUCT_COUNT = 200;
const ORDER_COUNT = 12_000;
const TICKET_COUNT = 1500;
/** The first orders are this many days before the sample's last day. */
const HISTORY_DAYS = 900;

/** A product, with its row of the table. */
export interface Product {
  readonly id: number;
  readonly sku: string;
  readonly priceCents: number;
  readonly row: readonly (string | number | null)[];
}

/** An order. */
export interface Order {
  readonly id: number;
  readonly customerId: number;
  readonly status: string;
  /** Days before the sample's last day. */
  readonly ageDays: number;
  readonly placedAt: string;
  readonly totalCents: number;
}

/** The generated tables, and what the operations database needs of them. */
export interface Shop {
  readonly tables: readonly Table[];
  readonly products: readonly Product[];
  readonly orders: readonly Order[];
}

/** Generates the tables of the shop database. */
export function generateShop(random: Random): Shop {
  const customers = Array.from({ length: CUSTOMER_COUNT }, (_, index) => generateCustomer(random, index + 1));
  const products = generateProducts(random);
  const { orders, items } = generateOrders(random, products);
  const getRegion = (customerId: number): Region => customers[customerId - 1]?.region ?? "north";
  const tables: Table[] = [
    {
      name: "customers",
      columns: ["id", "name", "email", "phone", "birth_date", "address", "region", "segment", "created_at", "notes"],
      rows: customers.map(({ row }) => row),
    },
    {
      name: "products",
      columns: ["id", "sku", "name", "category", "price_cents", "active"],
      rows: products.map(({ row }) => row),
    },
    {
      name: "orders",
      columns: ["id", "customer_id", "status", "placed_at", "total_cents"],
      rows: orders.map((order) => [order.id, order.customerId, order.status, order.placedAt, order.totalCents]),
    },
    { name: "order_items", columns: ["id", "order_id", "product_id", "quantity", "unit_price_cents"], rows: items },
    {
      name: "tickets",
      columns: [
        "id",
        "customer_id",
        "order_id",
        "region",
        "subject",
        "body",
        "status",
        "priority",
        "opened_at",
        "closed_at",
      ],
      rows: Array.from({ length: TICKET_COUNT }, (_, index) => generateTicket(random, index + 1, orders, getRegion)),
    },
    {
      name: "refunds",
      columns: ["id", "order_id", "amount_cents", "reason", "status", "created_at"],
      rows: generateRefunds(random, orders),
    },
  ];
  return { tables, products, orders };
}

function generateCustomer(
  random: Random,
  id: number,
): { readonly region: Region; readonly row: Table["rows"][number] } {
  const [first, last, region] = [random.pick(FIRST_NAMES), random.pick(LAST_NAMES), random.pick(REGIONS)];
  // The number makes addresses unique; characters outside ASCII are removed, because a mailbox name must not have them.
  const mailbox = `${first}.${last}`
    .toLowerCase()
    .normalize("NFD")
    .replace(/[^a-z.]/g, "");
  const phone = `+49 ${random.between(150, 179)} ${random.between(1_000_000, 9_999_999)}`;
  const birthDate = random.chance(0.9) ? daysBefore(random.between(19 * 365, 80 * 365)).slice(0, 10) : null;
  const address = `${random.pick(STREETS)} ${random.between(1, 180)}, ${random.between(10_000, 99_999)} ${random.pick(TOWNS[region])}`;
  const segment = random.weighted([
    ["consumer", 78],
    ["trade", 15],
    ["marina", 7],
  ] as const);
  const created = daysBefore(random.between(HISTORY_DAYS, HISTORY_DAYS + 1500), random.between(0, 86_399));
  const note = random.weighted([
    [null, 70],
    ["staff", 28],
    ["hostile", 2],
  ] as const);
  const notes = note === null ? null : random.pick(note === "staff" ? STAFF_NOTES : HOSTILE_TEXTS);
  return {
    region,
    row: [
      id,
      `${first} ${last}`,
      `${mailbox}${id}@${random.pick(MAIL_DOMAINS)}`,
      random.chance(0.85) ? phone : null,
      birthDate,
      address,
      region,
      segment,
      created,
      notes,
    ],
  };
}

function generateProducts(random: Random): readonly Product[] {
  const articles = GOODS.flatMap(([category, name, low, high, variants]) =>
    LINES.flatMap((line, lineIndex) =>
      variants.map((variant, index) => ({
        category,
        name: `${name} ${line} ${variant}`,
        price: low + ((high - low) * (index + lineIndex + 1)) / (variants.length + LINES.length),
      })),
    ),
  );
  // Evenly spaced, so that every kind of goods occurs.
  return Array.from({ length: PRODUCT_COUNT }, (_, index) => {
    const article = articles[Math.floor((index * articles.length) / PRODUCT_COUNT)] ?? {
      category: "tools",
      name: "Rigging knife",
      price: 1900,
    };
    const id = index + 1;
    const sku = `${article.category.slice(0, 3).toUpperCase()}-${String(1000 + id)}`;
    const priceCents = Math.round(article.price / 100) * 100 - 10;
    return {
      id,
      sku,
      priceCents,
      row: [id, sku, article.name, article.category, priceCents, random.chance(0.94) ? 1 : 0],
    };
  });
}

function generateOrders(
  random: Random,
  products: readonly Product[],
): { orders: readonly Order[]; items: Table["rows"] } {
  const items: (readonly number[])[] = [];
  const orders = Array.from({ length: ORDER_COUNT }, (_, index): Order => {
    const id = index + 1;
    // Oldest first, with more orders in recent days, as in a growing shop.
    const ageDays = Math.round(HISTORY_DAYS * (1 - Math.sqrt(index / ORDER_COUNT)));
    const count = random.weighted([
      [1, 25],
      [2, 30],
      [3, 23],
      [4, 14],
      [5, 8],
    ] as const);
    let totalCents = 0;
    for (let item = 0; item < count; item += 1) {
      const product = random.pick(products);
      const quantity = random.weighted([
        [1, 70],
        [2, 20],
        [4, 8],
        [10, 2],
      ] as const);
      totalCents += quantity * product.priceCents;
      items.push([items.length + 1, id, product.id, quantity, product.priceCents]);
    }
    const placedAt = daysBefore(ageDays, random.between(0, 43_000));
    return {
      id,
      customerId: random.between(1, CUSTOMER_COUNT),
      status: pickStatus(random, ageDays),
      ageDays,
      placedAt,
      totalCents,
    };
  });
  return { orders, items };
}

function pickStatus(random: Random, ageDays: number): string {
  if (ageDays <= 1) return random.pick(["placed", "paid"]);
  if (ageDays <= 5)
    return random.weighted([
      ["paid", 30],
      ["shipped", 65],
      ["cancelled", 5],
    ] as const);
  return random.weighted([
    ["delivered", 90],
    ["returned", 6],
    ["cancelled", 4],
  ] as const);
}

function generateTicket(
  random: Random,
  id: number,
  orders: readonly Order[],
  getRegion: (customerId: number) => Region,
): Table["rows"][number] {
  const order = random.pick(orders);
  const [subject, text] = random.pick(TICKET_SUBJECTS);
  const body = random.chance(0.02) ? `${text} ${random.pick(HOSTILE_TEXTS)}` : text;
  const openedAgeDays = Math.max(0, order.ageDays - random.between(1, 20));
  const isOpen = openedAgeDays === 0 || random.chance(openedAgeDays < 10 ? 0.6 : 0.03);
  const closed = isOpen ? null : daysBefore(Math.max(1, openedAgeDays - random.between(0, 6)), 86_399);
  const status = isOpen ? random.pick(["open", "pending"]) : "closed";
  const priority = random.weighted([
    ["low", 25],
    ["normal", 60],
    ["high", 15],
  ] as const);
  return [
    id,
    order.customerId,
    random.chance(0.8) ? order.id : null,
    getRegion(order.customerId),
    subject,
    body,
    status,
    priority,
    daysBefore(openedAgeDays, random.between(0, 43_000)),
    closed,
  ];
}

function generateRefunds(random: Random, orders: readonly Order[]): Table["rows"] {
  const refunded = orders.filter(
    (order) => order.status === "returned" || (order.status === "delivered" && random.chance(0.01)),
  );
  return refunded.map((order, index) => {
    const amount = order.status === "returned" ? order.totalCents : Math.max(500, Math.round(order.totalCents * 0.2));
    const reason =
      order.status === "returned"
        ? random.pick(["damaged", "wrong item", "changed mind"])
        : random.pick(["late", "goodwill"]);
    const status =
      order.ageDays > 30
        ? random.weighted([
            ["paid", 92],
            ["rejected", 8],
          ] as const)
        : random.pick(["requested", "approved"]);
    return [
      index + 1,
      order.id,
      amount,
      reason,
      status,
      daysBefore(Math.max(0, order.ageDays - 9), random.between(30_000, 43_000)),
    ];
  });
}
