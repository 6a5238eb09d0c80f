-- Adds what proves that no record is missing at the end of a chain. Only the Worker can ask a ledger for its head, so the command line
-- leaves a request here; and once a day the Worker lists the heads of all ledgers and signs the list.
CREATE TABLE audit_head_request (
  -- Chosen by the command, and signed with the answer, so that an old answer proves nothing.
  nonce TEXT NOT NULL,
  ledger TEXT NOT NULL,
  asked_ms INTEGER NOT NULL,
  -- The answer; null until the Worker has given it.
  seq INTEGER,
  hash TEXT,
  signature TEXT,
  -- The public key that verifies the signature.
  key TEXT,
  PRIMARY KEY (nonce, ledger)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_list (
  -- The UTC day that the list closes, such as 2026-11-27.
  day TEXT PRIMARY KEY,
  made_ms INTEGER NOT NULL,
  ledgers INTEGER NOT NULL,
  records INTEGER NOT NULL,
  -- SHA-256 of the heads.
  digest TEXT NOT NULL,
  signature TEXT NOT NULL,
  key TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_list_head (
  day TEXT NOT NULL,
  ledger TEXT NOT NULL,
  seq INTEGER NOT NULL,
  hash TEXT NOT NULL,
  PRIMARY KEY (day, ledger)
) STRICT, WITHOUT ROWID;
