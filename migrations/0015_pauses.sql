-- Adds pauses of users, personal access tokens, clients and sources. A change raises the version above every other version in the table;
-- a row stays when a pause ends, so that ledgers learn it. subject_ids: whose ledgers a pause of a user or personal access token concerns.
CREATE TABLE pause (
  kind TEXT NOT NULL CHECK (kind IN ('user', 'token', 'client', 'source')),
  target TEXT NOT NULL,
  subject_ids TEXT NOT NULL CHECK (json_valid(subject_ids)),
  reason TEXT NOT NULL,
  until_ms INTEGER,
  is_paused INTEGER NOT NULL,
  changed_by TEXT NOT NULL,
  changed_ms INTEGER NOT NULL,
  version INTEGER NOT NULL UNIQUE,
  propagated_version INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (kind, target)
) STRICT;
CREATE INDEX pause_pending ON pause (version) WHERE propagated_version < version;

-- The version of the pauses that the subject's ledger has been given.
ALTER TABLE subject ADD COLUMN pause_version INTEGER NOT NULL DEFAULT 0;
