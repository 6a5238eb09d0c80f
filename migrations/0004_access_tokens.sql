-- Access tokens for programs. The token itself is nowhere: hash is SHA-256 of its text.
CREATE TABLE access_token (
  id TEXT PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  owner_id TEXT NOT NULL,
  name TEXT NOT NULL,
  roles TEXT NOT NULL CHECK (json_valid(roles)),
  made_by TEXT NOT NULL,
  made_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  used_ms INTEGER,
  revoked_ms INTEGER,
  revoked_by TEXT,
  is_end_told INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX access_token_owner ON access_token (owner_id);
CREATE INDEX access_token_untold ON access_token (expires_ms) WHERE is_end_told = 0;
