-- Adds erasures and checkpoints. An erasure takes values out of records that stay in their chain; the command line stores it here, because
-- only the Worker reaches the ledger, which records it. A checkpoint stands for the records that the operator's retention removed.
CREATE TABLE audit_erasure (
  id TEXT PRIMARY KEY,
  ledger TEXT NOT NULL,
  -- The names of the erased fields, as the export has them.
  fields TEXT NOT NULL CHECK (json_valid(fields)),
  -- The first and the last number of each part: [[1, 4], [9, 9]]. Null: everything of the ledger's user.
  ranges TEXT CHECK (json_valid(ranges)),
  reason TEXT NOT NULL,
  requested_by TEXT NOT NULL,
  requested_ms INTEGER NOT NULL,
  -- The last record that it covers; null until the ledger has recorded the erasure.
  until_seq INTEGER,
  -- The record of the erasure in the ledger.
  recorded_seq INTEGER,
  -- The last record whose copy in this database was looked at.
  done_seq INTEGER NOT NULL DEFAULT 0,
  -- How many records lost values, and how many could not: an earlier version hashed them as a whole.
  erased INTEGER NOT NULL DEFAULT 0,
  kept INTEGER NOT NULL DEFAULT 0,
  done_ms INTEGER
) STRICT;
CREATE INDEX audit_erasure_pending ON audit_erasure (requested_ms) WHERE done_ms IS NULL;

CREATE TABLE audit_checkpoint (
  ledger TEXT PRIMARY KEY,
  -- The last removed record.
  seq INTEGER NOT NULL,
  hash TEXT NOT NULL,
  -- Records that ended before this time were removed.
  until_ms INTEGER NOT NULL,
  made_ms INTEGER NOT NULL,
  signature TEXT NOT NULL,
  -- The public key that verifies the signature.
  key TEXT NOT NULL
) STRICT, WITHOUT ROWID;
