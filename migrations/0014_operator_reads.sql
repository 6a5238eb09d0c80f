-- Adds the commands that have read the audit log, until the Worker has moved them into the operator's ledger.
CREATE TABLE audit_operator_read (
  -- Unguessable; the id of the call in its record.
  id TEXT PRIMARY KEY,
  -- Who ran the command, as their machine says.
  operator TEXT NOT NULL,
  -- The command and its filters, as JSON.
  request TEXT NOT NULL,
  began_ms INTEGER NOT NULL,
  -- When the last records were given out.
  touched_ms INTEGER NOT NULL,
  rows INTEGER NOT NULL,
  -- running, ended, or interrupted when its process has died.
  state TEXT NOT NULL
) STRICT, WITHOUT ROWID;
