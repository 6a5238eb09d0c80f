-- Roles and attributes by email, besides those of the policy file. A change is one statement that raises the version, so that
-- it is whole wherever it is made; ledgers are told of it until told_version has caught up.
CREATE TABLE member (
  email TEXT PRIMARY KEY,
  roles TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(roles)),
  attributes TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(attributes)),
  changed_by TEXT NOT NULL,
  changed_ms INTEGER NOT NULL,
  version INTEGER NOT NULL DEFAULT 1,
  told_version INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX member_untold ON member (email) WHERE told_version < version;

-- Who has been here: whose ledgers hold a copy of which member.
CREATE TABLE subject (
  subject_id TEXT PRIMARY KEY,
  email TEXT NOT NULL,
  groups TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(groups)),
  seen_ms INTEGER NOT NULL,
  owner_id TEXT
) STRICT;
CREATE INDEX subject_email ON subject (email);

-- The set-up code is used once; tries are counted for an hour.
CREATE TABLE setup (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  used_by TEXT NOT NULL,
  used_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE setup_try (subject_id TEXT NOT NULL, at_ms INTEGER NOT NULL) STRICT;
CREATE INDEX setup_try_at ON setup_try (at_ms);
