-- Who is signed in to our own pages, by the hash of the id that the browser's cookie holds.
CREATE TABLE browser_session (
  id_hash TEXT PRIMARY KEY,
  subject_id TEXT NOT NULL,
  identity TEXT NOT NULL,
  began_ms INTEGER NOT NULL,
  used_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX browser_session_subject ON browser_session (subject_id);
CREATE INDEX browser_session_used ON browser_session (used_ms);
