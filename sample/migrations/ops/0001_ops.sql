CREATE TABLE warehouses (
  id INTEGER PRIMARY KEY,
  code TEXT NOT NULL UNIQUE,
  town TEXT NOT NULL,
  region TEXT NOT NULL,
  capacity_pallets INTEGER NOT NULL
);

CREATE TABLE stock (
  warehouse_id INTEGER NOT NULL REFERENCES warehouses (id),
  sku TEXT NOT NULL,
  on_hand INTEGER NOT NULL CHECK (on_hand >= 0),
  reserved INTEGER NOT NULL CHECK (reserved >= 0),
  reorder_level INTEGER NOT NULL,
  counted_on TEXT NOT NULL,
  PRIMARY KEY (warehouse_id, sku)
);
CREATE INDEX stock_sku ON stock (sku);

CREATE TABLE shipments (
  id INTEGER PRIMARY KEY,
  order_id INTEGER NOT NULL,
  warehouse_id INTEGER NOT NULL REFERENCES warehouses (id),
  carrier TEXT NOT NULL,
  shipped_at TEXT NOT NULL,
  delivered_at TEXT,
  weight_grams INTEGER NOT NULL
);
CREATE INDEX shipments_order ON shipments (order_id);
CREATE INDEX shipments_shipped ON shipments (shipped_at);
