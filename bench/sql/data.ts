// SQL that generates a shop with a million orders, so that every compared database has the same rows.

export const ORDERS = 1_000_000;
export const CUSTOMERS = 100_000;

/** Statements that create and fill the tables in an empty database. */
export const DATA_SQL: readonly string[] = [
  "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, email TEXT, region TEXT, segment TEXT)",
  "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, region TEXT, status TEXT, total_cents INTEGER, placed_at TEXT)",
  `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${CUSTOMERS})
   INSERT INTO customers SELECT i, 'Customer ' || i, 'c' || i || '@d' || (i % 50) || '.example',
   CASE i % 4 WHEN 0 THEN 'north' WHEN 1 THEN 'south' WHEN 2 THEN 'east' ELSE 'west' END,
   CASE i % 3 WHEN 0 THEN 'trade' ELSE 'consumer' END FROM n`,
  `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ORDERS})
   INSERT INTO orders SELECT i, (i * 7919) % ${CUSTOMERS} + 1,
   CASE ((i * 7919) % ${CUSTOMERS} + 1) % 4 WHEN 0 THEN 'north' WHEN 1 THEN 'south' WHEN 2 THEN 'east' ELSE 'west' END,
   CASE i % 10 WHEN 0 THEN 'placed' ELSE 'delivered' END, (i * 104729) % 50000,
   datetime('2026-01-01', '+' || (i * 15) || ' seconds') FROM n`,
  // One visit for every fifth customer, identified by email address.
  "CREATE TABLE visits (id INTEGER PRIMARY KEY, email TEXT, page TEXT)",
  "INSERT INTO visits SELECT id, email, '/page/' || (id % 20) FROM customers WHERE id % 5 = 0",
  "CREATE INDEX customers_email ON customers (email)",
  "CREATE INDEX visits_email ON visits (email)",
  "CREATE INDEX orders_customer ON orders (customer_id)",
  "CREATE INDEX orders_placed ON orders (placed_at)",
  "CREATE INDEX orders_total ON orders (total_cents)",
  "CREATE INDEX orders_region_placed ON orders (region, placed_at)",
  "CREATE INDEX orders_region_total ON orders (region, total_cents)",
  "ANALYZE",
];
