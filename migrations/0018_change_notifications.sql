-- Adds notifications to reviewers: for each change that waits for approval and each channel ('webhook', 'email'), whether it was announced.
CREATE TABLE change_notification (
  change_id TEXT NOT NULL,
  channel TEXT NOT NULL,
  dataset TEXT NOT NULL,
  enqueued_ms INTEGER NOT NULL,
  -- Null until the channel has accepted a message about it.
  sent_ms INTEGER,
  PRIMARY KEY (change_id, channel)
) STRICT, WITHOUT ROWID;
CREATE INDEX change_notification_waiting ON change_notification (channel, enqueued_ms) WHERE sent_ms IS NULL;
CREATE INDEX change_notification_age ON change_notification (enqueued_ms);

-- Until when an attempt to send has a channel for itself. An attempt that fails or dies leaves its claim, so the next one waits.
CREATE TABLE change_notification_channel (
  name TEXT PRIMARY KEY,
  -- 0 when the last attempt succeeded.
  retry_ms INTEGER NOT NULL,
  -- Attempts since the last message that it accepted.
  tries INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
