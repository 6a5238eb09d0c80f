-- Adds the changes of data that were proposed, without the values that they set: their objects hold those. It limits how many are open,
-- finds repeated proposals, and lists the changes that wait for a user.
CREATE TABLE change (
  id TEXT PRIMARY KEY,
  dataset TEXT NOT NULL,
  operation TEXT NOT NULL,
  -- The change that this one takes back; null for a change of its own.
  undoes TEXT,
  subject_id TEXT NOT NULL,
  -- The user, or the owner of the personal access token that asked for it.
  owner_id TEXT NOT NULL,
  -- Equal for proposals of the same change.
  digest TEXT NOT NULL,
  state TEXT NOT NULL,
  approval TEXT NOT NULL,
  -- The roles that may approve, as a JSON list.
  reviewers TEXT NOT NULL,
  row_count INTEGER NOT NULL,
  proposed_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  -- When the state became a final one; null before.
  closed_ms INTEGER,
  -- Increases with each state. An older one does not replace a newer one.
  version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX change_by_owner ON change (owner_id, proposed_ms);
CREATE INDEX change_by_state ON change (state, dataset);
CREATE INDEX change_by_digest ON change (digest);
