-- Adds removals of members. A row is stored in the transaction that revokes the user's personal access tokens and ends their browser
-- sessions; the Worker then ends what is in Durable Objects, and stores what it found there. A row of the kind `look` ends nothing.
CREATE TABLE member_removal (
  id TEXT PRIMARY KEY,
  email TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('look', 'removal')),
  requested_by TEXT NOT NULL,
  requested_ms INTEGER NOT NULL,
  subject_ids TEXT NOT NULL CHECK (json_valid(subject_ids)),
  personal_access_tokens TEXT NOT NULL CHECK (json_valid(personal_access_tokens)),
  browser_sessions INTEGER NOT NULL,
  objects TEXT CHECK (json_valid(objects)),
  done_ms INTEGER
) STRICT;
CREATE INDEX member_removal_pending ON member_removal (requested_ms) WHERE done_ms IS NULL;
