-- Customers of a company with regional sales teams. Amounts are in euro cents.
CREATE TABLE customers (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  region TEXT NOT NULL,
  revenue_cents INTEGER NOT NULL
);

-- The row rule on region reads only the user's own rows through this index.
CREATE INDEX customers_region ON customers (region);

INSERT INTO customers VALUES
  (1, 'Anker Bakery', 'north', 1250000),
  (2, 'Birch Hotel', 'south', 9900000),
  (3, 'Coast Books', 'north', 310000),
  (4, 'Dune Cycles', 'south', 480000),
  (5, 'Elbe Shipping', 'west', 25000000);
