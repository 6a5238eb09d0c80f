-- breaks: layout 0, which no release used
-- Renames tables and columns to standard terms, and adds the layout: its number, and the oldest layout that a version may need and still
-- work with this database. A migration that only adds raises neither. One that breaks the version before it raises `number` together with
-- DATABASE_LAYOUT_NUMBER in src/app/database-layout-store.ts, and `oldest_reader`. SQLite cannot rename indexes: they are created again.
DROP INDEX member_untold;
ALTER TABLE member RENAME COLUMN told_version TO propagated_version;
CREATE INDEX member_pending ON member (email) WHERE propagated_version < version;

DROP INDEX access_token_owner;
DROP INDEX access_token_untold;
DROP INDEX access_token_made;
ALTER TABLE access_token RENAME TO personal_access_token;
ALTER TABLE personal_access_token RENAME COLUMN is_end_told TO is_end_propagated;
CREATE INDEX personal_access_token_owner ON personal_access_token (owner_id);
CREATE INDEX personal_access_token_pending ON personal_access_token (expires_ms) WHERE is_end_propagated = 0;
CREATE INDEX personal_access_token_made ON personal_access_token (owner_id, made_ms);

ALTER TABLE document_source RENAME COLUMN sweep TO reindex_run;
ALTER TABLE document_source RENAME COLUMN swept_ms TO reindexed_ms;

DROP INDEX setup_try_at;
ALTER TABLE setup_try RENAME TO setup_attempt;
CREATE INDEX setup_attempt_at ON setup_attempt (at_ms);

CREATE TABLE layout (id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL, oldest_reader INTEGER NOT NULL) STRICT;
INSERT INTO layout (id, number, oldest_reader) VALUES (1, 1, 1);
