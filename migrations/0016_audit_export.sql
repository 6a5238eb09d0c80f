-- Adds how far the audit records were exported: to the bucket GATEHOUSE_ARCHIVE ('archive') and the stream GATEHOUSE_PIPELINE ('pipeline').
CREATE TABLE audit_export (
  name TEXT PRIMARY KEY,
  -- Records up to this audit_record.id were exported.
  exported_id INTEGER NOT NULL,
  -- The records after them up to this one are being exported; null when none are. A run that dies leaves it to the next one.
  planned_id INTEGER
) STRICT, WITHOUT ROWID;

-- SQLite gives the id of the newest record again when that record was deleted. A record with an id that was exported already would never
-- be exported, so it gets the next one.
CREATE TRIGGER audit_record_export_id AFTER INSERT ON audit_record
  WHEN NEW.id <= (SELECT max(coalesce(planned_id, exported_id)) FROM audit_export)
BEGIN
  UPDATE audit_record SET id = (SELECT max(coalesce(planned_id, exported_id)) FROM audit_export) + 1 WHERE id = NEW.id;
END;
