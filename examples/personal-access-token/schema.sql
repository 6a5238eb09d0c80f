-- Orders of a shop, with the customers' addresses.
CREATE TABLE orders (
  id INTEGER PRIMARY KEY,
  customer TEXT NOT NULL,
  address TEXT NOT NULL,
  status TEXT NOT NULL
);

INSERT INTO orders VALUES
  (1, 'Ines Almeida', 'Quay Street 1, Hamburg', 'shipped'),
  (2, 'Jonas Berg', 'Rope Walk 2, Bremen', 'placed'),
  (3, 'Maya Chen', 'Mill Lane 3, Kiel', 'placed');
