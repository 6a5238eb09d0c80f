CREATE TABLE customers (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  email TEXT NOT NULL UNIQUE,
  phone TEXT,
  birth_date TEXT,
  address TEXT,
  region TEXT NOT NULL CHECK (region IN ('north', 'south', 'east', 'west')),
  segment TEXT NOT NULL CHECK (segment IN ('consumer', 'trade', 'marina')),
  created_at TEXT NOT NULL,
  notes TEXT
);
CREATE INDEX customers_region ON customers (region);

CREATE TABLE products (
  id INTEGER PRIMARY KEY,
  sku TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  category TEXT NOT NULL,
  price_cents INTEGER NOT NULL CHECK (price_cents > 0),
  active INTEGER NOT NULL CHECK (active IN (0, 1))
);
CREATE INDEX products_category ON products (category);

CREATE TABLE orders (
  id INTEGER PRIMARY KEY,
  customer_id INTEGER NOT NULL REFERENCES customers (id),
  status TEXT NOT NULL CHECK (status IN ('placed', 'paid', 'shipped', 'delivered', 'returned', 'cancelled')),
  placed_at TEXT NOT NULL,
  total_cents INTEGER NOT NULL
);
CREATE INDEX orders_customer ON orders (customer_id);
CREATE INDEX orders_placed ON orders (placed_at);

CREATE TABLE order_items (
  id INTEGER PRIMARY KEY,
  order_id INTEGER NOT NULL REFERENCES orders (id),
  product_id INTEGER NOT NULL REFERENCES products (id),
  quantity INTEGER NOT NULL CHECK (quantity > 0),
  unit_price_cents INTEGER NOT NULL
);
CREATE INDEX order_items_order ON order_items (order_id);
CREATE INDEX order_items_product ON order_items (product_id);

CREATE TABLE tickets (
  id INTEGER PRIMARY KEY,
  customer_id INTEGER NOT NULL REFERENCES customers (id),
  order_id INTEGER REFERENCES orders (id),
  region TEXT NOT NULL,
  subject TEXT NOT NULL,
  body TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('open', 'pending', 'closed')),
  priority TEXT NOT NULL CHECK (priority IN ('low', 'normal', 'high')),
  opened_at TEXT NOT NULL,
  closed_at TEXT
);
CREATE INDEX tickets_customer ON tickets (customer_id);
CREATE INDEX tickets_region_status ON tickets (region, status);

CREATE TABLE refunds (
  id INTEGER PRIMARY KEY,
  order_id INTEGER NOT NULL REFERENCES orders (id),
  amount_cents INTEGER NOT NULL CHECK (amount_cents > 0),
  reason TEXT NOT NULL CHECK (reason IN ('damaged', 'late', 'wrong item', 'changed mind', 'goodwill')),
  status TEXT NOT NULL CHECK (status IN ('requested', 'approved', 'paid', 'rejected')),
  created_at TEXT NOT NULL
);
CREATE INDEX refunds_order ON refunds (order_id);
