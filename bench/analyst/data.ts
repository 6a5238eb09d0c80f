// SQL that generates the shop of the analyst benchmark, in three forms with the same rows: all of them, the visible ones, and the visible
// ones with masked values. The masked values are written out here, not taken from the product, so that a wrong mask is a wrong answer.
import { VISIBLE_BRANCHES, VISIBLE_REGIONS } from "./roles.ts";
import type { Role } from "./roles.ts";

/** How many rows the tables get. */
export interface Size {
  readonly orders: number;
  readonly customers: number;
  readonly events: number;
  readonly workOrders: number;
  readonly products: number;
}

/** The size of the benchmark, or a part of it: 0.01 makes a hundredth of the rows. */
export function sizeAt(scale: number): Size {
  const rows = (full: number): number => Math.max(100, Math.round(full * scale));
  return {
    orders: rows(1_000_000),
    customers: rows(100_000),
    events: rows(200_000),
    workOrders: rows(30_000),
    products: 500,
  };
}

/** The masking tokens that the pre-masked tables are built with, by value. */
export const TOKENS_TABLE_SQL = "CREATE TABLE token_by_value (value TEXT PRIMARY KEY, token TEXT) WITHOUT ROWID";

/** The rows that one statement inserts, which bounds the memory of a transaction. */
const ROWS_PER_STATEMENT = 100_000;
/** Two years, in which all orders, events and work orders happen. */
const START = "2025-01-01";
const PERIOD_SECONDS = 2 * 365 * 24 * 3600;

interface Table {
  readonly name: string;
  readonly rows: number;
  /** SQL expressions over the row number `i` by column, with their declared types. They may use the columns before them. */
  readonly columns: Readonly<Record<string, readonly [type: string, expression: string]>>;
  readonly visible: string;
  /** How a masked value is computed, by column. */
  readonly masks: Readonly<Record<string, string>>;
  /** The indexes, by the column or list of columns that they begin with. */
  readonly indexes: readonly string[];
}

/** Scatters row numbers. Two moduli keep the numbers of different salts independent of each other. */
const hash = (salt: number): string => `((i * 1103515245 + ${salt}) % 2147483647 * ${69_621 + 2 * salt} % 16777213)`;

const pick = (choices: readonly string[], number: string): string =>
  `json_extract('${JSON.stringify(choices)}', '$[' || (${number} % ${choices.length}) || ']')`;

/** Gives each customer a region: 30 % north, 20 % east, 35 % south, 15 % west. */
const regionOf = (customer: string): string =>
  `CASE WHEN ${customer} * 7 % 20 < 6 THEN 'north' WHEN ${customer} * 7 % 20 < 10 THEN 'east'
    WHEN ${customer} * 7 % 20 < 17 THEN 'south' ELSE 'west' END`;

const accountOf = (customer: string): string => `printf('ACC-%08d', ${customer} * 97)`;

const FIRST_NAMES = (
  "Oscar Amelia Bruno Clara David Elena Felix Greta Hugo Irene Jonas Karin Leo Maria Nils Olivia Paul Quentin Rosa Simon " +
  "Tara Ulrich Vera Walter Xenia Yusuf Zoe Anton Berta Cyril Dora Emil Frida Gustav Hanna Ivan Julia Kurt Laura Milan Nora"
).split(" ");
const LAST_NAMES = (
  "Abbott Baker Carter Dawson Ellis Foster Gibson Harper Irving Jensen Keller Lambert Mason Novak Olsen Parker Quinn " +
  "Reyes Silva Turner Unger Vargas Weber Xu Young Zeller Archer Becker Castro"
).split(" ");
const CITIES = "Arden Brook Calder Dunmore Easton Fairview Glen Hollow Inver Kirby Lorne Marsh Norwick".split(" ");
const CATEGORIES = "garden kitchen bath office sport travel toys books audio light".split(" ");

const customers = ({ customers: rows }: Size): Table => ({
  name: "customers",
  rows,
  columns: {
    id: ["INTEGER PRIMARY KEY", "i"],
    first_name: ["", pick(FIRST_NAMES, hash(1))],
    last_name: ["", pick(LAST_NAMES, hash(2))],
    name: ["TEXT", "first_name || ' ' || last_name"],
    email: [
      "TEXT",
      `CASE WHEN i % 50 <> 0 THEN lower(first_name) || '.' || lower(last_name) || i || '@mail' || (${hash(3)} % 211) || '.example' END`,
    ],
    phone: ["TEXT", `printf('+44 20 %07d', ${hash(4)} % 10000000)`],
    account: ["TEXT", accountOf("i")],
    birth_date: ["TEXT", `date('1950-01-01', '+' || (${hash(5)} % 18000) || ' days')`],
    region: ["TEXT", regionOf("i")],
    city: ["TEXT", pick(CITIES, hash(6))],
    segment: ["TEXT", `CASE WHEN ${hash(7)} % 10 < 2 THEN 'trade' WHEN i % 25 = 0 THEN 'staff' ELSE 'consumer' END`],
    created_at: [
      "TEXT",
      `datetime('2023-01-01', '+' || (i * ${Math.floor((2 * PERIOD_SECONDS) / rows)}) || ' seconds')`,
    ],
    preferences: [
      "TEXT",
      `CASE WHEN i % 20 <> 0 THEN json_object('newsletter', json(CASE WHEN i % 3 = 0 THEN 'true' ELSE 'false' END),
        'language', ${pick(["en", "de", "fr", "es"], hash(8))},
        'topics', json_array(${pick(CATEGORIES, hash(9))}, ${pick(CATEGORIES, hash(10))})) END`,
    ],
  },
  visible: `region IN (${VISIBLE_REGIONS.map((region) => `'${region}'`).join(", ")})`,
  masks: {
    email: "substr(email, 1, 1) || '…' || substr(email, instr(email, '@'))",
    phone: "'…' || substr(phone, -4)",
    account: "(SELECT token FROM token_by_value WHERE value = account)",
    birth_date: "substr(birth_date, 1, 4) || '-01-01'",
  },
  indexes: ["email", "account", "region", "created_at", "name COLLATE NOCASE"],
});

const products = ({ products: rows }: Size): Table => ({
  name: "products",
  rows,
  columns: {
    id: ["INTEGER PRIMARY KEY", "i"],
    sku: ["TEXT", "printf('SKU-%05d', i)"],
    name: ["TEXT", `'Product ' || i`],
    category: ["TEXT", pick(CATEGORIES, "i")],
    price_cents: ["INTEGER", "500 + (i * 7919) % 30000"],
    attributes: [
      "TEXT",
      `json_object('weight', i * 13 % 4000, 'colours', json_array(${pick(["red", "blue", "green"], "i")}, 'black'))`,
    ],
  },
  visible: "1",
  masks: {},
  indexes: ["category"],
});

const orders = ({ orders: rows, customers: buyers, products: kinds }: Size): Table => ({
  name: "orders",
  rows,
  columns: {
    id: ["INTEGER PRIMARY KEY", "i"],
    // A fifth of the orders comes from a fiftieth of the customers, and a tenth of the customers has none.
    customer_id: [
      "INTEGER",
      `1 + CASE WHEN i % 5 = 0 THEN ${hash(11)} % ${Math.floor(buyers / 50)} ELSE ${hash(12)} % ${Math.floor(buyers * 0.9)} END`,
    ],
    product_id: ["INTEGER", `1 + ${hash(13)} % ${kinds}`],
    region: ["TEXT", regionOf("customer_id")],
    status: [
      "TEXT",
      `CASE WHEN ${hash(14)} % 100 < 78 THEN 'delivered' WHEN ${hash(14)} % 100 < 86 THEN 'shipped'
        WHEN ${hash(14)} % 100 < 91 THEN 'placed' WHEN ${hash(14)} % 100 < 96 THEN 'cancelled' ELSE 'returned' END`,
    ],
    channel: ["TEXT", pick(["web", "web", "app", "app", "app", "phone", "partner"], hash(15))],
    quantity: ["INTEGER", `1 + ${hash(16)} % 5`],
    total_cents: ["INTEGER", "(500 + (product_id * 7919) % 30000) * quantity"],
    shipping_cents: ["INTEGER", `300 + ${hash(17)} % 900`],
    placed_at: ["TEXT", `datetime('${START}', '+' || (i * ${Math.floor(PERIOD_SECONDS / rows)}) || ' seconds')`],
    delivered_at: [
      "TEXT",
      `CASE WHEN status IN ('delivered', 'returned') THEN datetime(placed_at, '+' || (20 + ${hash(18)} % 200) || ' hours') END`,
    ],
  },
  visible: `region IN (${VISIBLE_REGIONS.map((region) => `'${region}'`).join(", ")})`,
  masks: {
    shipping_cents: "shipping_cents - shipping_cents % 100",
    delivered_at: "substr(delivered_at, 1, 7) || '-01 00:00:00'",
  },
  indexes: ["customer_id", "product_id", "region", "placed_at"],
});

const events = ({ events: rows, customers: visitors }: Size): Table => ({
  name: "events",
  rows,
  columns: {
    id: ["INTEGER PRIMARY KEY", "i"],
    visitor: ["", `1 + ${hash(19)} % ${visitors}`],
    customer_id: ["INTEGER", "CASE WHEN i % 5 <> 0 THEN visitor END"],
    account: ["TEXT", `CASE WHEN i % 5 <> 0 THEN ${accountOf("visitor")} END`],
    region: ["TEXT", regionOf("visitor")],
    kind: [
      "TEXT",
      pick(["view", "view", "view", "view", "search", "search", "cart", "cart", "checkout", "purchase"], hash(20)),
    ],
    page: ["TEXT", `'/' || ${pick(CATEGORIES, hash(21))} || '/' || (${hash(22)} % 50)`],
    occurred_at: ["TEXT", `datetime('${START}', '+' || (i * ${Math.floor(PERIOD_SECONDS / rows)}) || ' seconds')`],
    payload: [
      "TEXT",
      `json_object('device', ${pick(["phone", "laptop", "tablet"], hash(23))}, 'ms', ${hash(24)} % 5000,
        'campaign', CASE WHEN i % 4 = 0 THEN ${pick(["spring", "summer", "winter"], hash(25))} END)`,
    ],
  },
  visible: `region IN (${VISIBLE_REGIONS.map((region) => `'${region}'`).join(", ")})`,
  masks: { account: "(SELECT token FROM token_by_value WHERE value = account)" },
  indexes: ["customer_id", "account", "region", "occurred_at"],
});

const workOrders = ({ workOrders: rows, customers: clients }: Size): Table => ({
  name: "work_orders",
  rows,
  columns: {
    id: ["INTEGER PRIMARY KEY", "i"],
    branch_id: ["INTEGER", `1 + ${hash(26)} % 12`],
    technician_id: ["INTEGER", `1 + ${hash(27)} % ${Math.max(10, Math.floor(rows / 100))}`],
    customer_id: ["INTEGER", `1 + ${hash(28)} % ${clients}`],
    kind: ["TEXT", pick(["repair", "install", "inspect", "replace"], hash(29))],
    minutes: ["INTEGER", `10 + ${hash(30)} % 300`],
    opened_at: ["TEXT", `datetime('${START}', '+' || (i * ${Math.floor(PERIOD_SECONDS / rows)}) || ' seconds')`],
    closed_at: ["TEXT", `CASE WHEN i % 9 <> 0 THEN datetime(opened_at, '+' || (${hash(31)} % 400) || ' hours') END`],
  },
  visible: `branch_id IN (${VISIBLE_BRANCHES.join(", ")})`,
  masks: { minutes: "(2 * minutes + 15) / 30 * 15" },
  // `technician_id` has no index.
  indexes: ["branch_id", "opened_at"],
});

/** Lists the statements that create and fill the tables of a role's direct database. The masked form reads `token_by_value`. */
export function listDataSql(size: Size, role: Role): readonly string[] {
  return [customers(size), products(size), orders(size), events(size), workOrders(size)].flatMap((table) => [
    buildTableSql(table),
    ...listInsertSql(table, role),
    ...listIndexSql(table, role),
  ]);
}

/** Columns without a type only help to compute others. */
function listStoredColumns({ columns }: Table): readonly (readonly [name: string, type: string])[] {
  return Object.entries(columns).flatMap(([name, [type]]) => (type === "" ? [] : [[name, type] as const]));
}

function buildTableSql(table: Table): string {
  const columns = listStoredColumns(table).map(([name, type]) => `${name} ${type}`);
  return `CREATE TABLE ${table.name} (${columns.join(", ")})`;
}

function listInsertSql(table: Table, role: Role): readonly string[] {
  const masks = role === "masked" ? table.masks : {};
  const columns = listStoredColumns(table).map(([name]) => masks[name] ?? name);
  // Each level adds one column, so that an expression can use the columns before it.
  const generated = Object.entries(table.columns).reduce(
    (inner, [name, [, expression]]) => `SELECT *, ${expression} AS ${name} FROM (${inner})`,
    "SELECT i FROM n",
  );
  const statements: string[] = [];
  for (let first = 1; first <= table.rows; first += ROWS_PER_STATEMENT) {
    const last = Math.min(table.rows, first + ROWS_PER_STATEMENT - 1);
    statements.push(
      `WITH RECURSIVE n(i) AS (SELECT ${first} UNION ALL SELECT i + 1 FROM n WHERE i < ${last})
       INSERT INTO ${table.name} SELECT ${columns.join(", ")} FROM (${generated}) WHERE ${role === "owner" ? "1" : table.visible}`,
    );
  }
  return statements;
}

function listIndexSql({ name, indexes, masks }: Table, role: Role): readonly string[] {
  return indexes
    .filter((column) => role !== "masked" || masks[column] === undefined)
    .map((column) => `CREATE INDEX ${name}_${/^\w+/.exec(column)?.[0] ?? ""} ON ${name} (${column})`);
}
