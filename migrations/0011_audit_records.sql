-- Adds the audit records that ledgers have sent here. Their bodies, salts and hashes are exactly those of the ledger.
CREATE TABLE audit_record (
  -- Grows with the order of arrival: the cursor of exports.
  id INTEGER PRIMARY KEY,
  -- The subject id of the user whose ledger wrote the record.
  ledger TEXT NOT NULL,
  seq INTEGER NOT NULL,
  ended_ms INTEGER NOT NULL,
  body TEXT NOT NULL,
  salts TEXT,
  hash TEXT NOT NULL,
  UNIQUE (ledger, seq)
) STRICT;
CREATE INDEX audit_record_ended ON audit_record (ended_ms);

-- What a record can be found by besides its time: 'user …', 'dataset shop.customers', 'column shop.customers.email', …
CREATE TABLE audit_term (
  term TEXT NOT NULL,
  ended_ms INTEGER NOT NULL,
  record_id INTEGER NOT NULL,
  PRIMARY KEY (term, ended_ms, record_id)
) STRICT, WITHOUT ROWID;
