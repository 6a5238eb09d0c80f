-- Invoices. paid_on is NULL until an invoice is paid; amounts are in euro cents.
CREATE TABLE invoices (
  id INTEGER PRIMARY KEY,
  customer TEXT NOT NULL,
  region TEXT NOT NULL,
  amount_cents INTEGER NOT NULL,
  due_on TEXT NOT NULL,
  paid_on TEXT
);

CREATE INDEX invoices_region ON invoices (region);

INSERT INTO invoices VALUES
  (101, 'Anker Bakery', 'north', 84000, '2026-04-30', '2026-04-28'),
  (102, 'Birch Hotel', 'south', 912000, '2026-05-15', NULL),
  (103, 'Coast Books', 'north', 23500, '2026-05-31', NULL),
  (104, 'Dune Cycles', 'south', 47000, '2026-07-15', NULL);
