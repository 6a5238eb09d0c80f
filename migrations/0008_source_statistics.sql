-- Adds when the tables of a D1 source were last looked at and analysed, so that upkeep runs ANALYZE at most once a day.
CREATE TABLE source_statistics (
  source TEXT PRIMARY KEY,
  checked_ms INTEGER NOT NULL,
  analyzed_ms INTEGER NOT NULL,
  row_counts TEXT NOT NULL
) WITHOUT ROWID;
