-- The document index. The words of each document source are in an FTS5 table of their own, which the source's first sweep
-- makes, so that what one source holds moves no rank in another.
CREATE TABLE document_source (
  source TEXT PRIMARY KEY,
  -- Counts sweeps: the one under way, or the last.
  sweep INTEGER NOT NULL DEFAULT 0,
  -- When the sweep under way began; null when there is none.
  began_ms INTEGER,
  -- Where it goes on: the namespace's cursor, and the last key before it.
  cursor TEXT,
  after_key TEXT NOT NULL DEFAULT '',
  -- Until when somebody is at it.
  lease_ms INTEGER NOT NULL DEFAULT 0,
  -- When the last whole sweep began; null until there was one.
  swept_ms INTEGER,
  -- When the next one is due.
  due_ms INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE document (
  -- The row of the same number in the source's FTS5 table.
  id INTEGER PRIMARY KEY,
  source TEXT NOT NULL,
  key TEXT NOT NULL,
  -- Of the text that was indexed.
  hash TEXT NOT NULL,
  UNIQUE (source, key)
);
