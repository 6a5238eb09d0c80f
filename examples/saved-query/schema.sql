-- Orders of a shop. Amounts are in euro cents.
CREATE TABLE orders (
  id INTEGER PRIMARY KEY,
  customer TEXT NOT NULL,
  placed_on TEXT NOT NULL,
  status TEXT NOT NULL,
  total_cents INTEGER NOT NULL
);

INSERT INTO orders VALUES
  (1, 'Anker Bakery', '2026-04-02', 'delivered', 120000),
  (2, 'Birch Hotel', '2026-04-19', 'delivered', 80000),
  (3, 'Coast Books', '2026-05-07', 'cancelled', 950000),
  (4, 'Anker Bakery', '2026-05-23', 'delivered', 64000),
  (5, 'Dune Cycles', '2026-06-11', 'placed', 43000);
