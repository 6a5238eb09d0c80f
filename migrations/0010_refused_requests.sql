-- Adds counts of requests that were refused before their user was known: one row for each minute, cause and network, never one for a request.
CREATE TABLE refused_request (
  minute_ms INTEGER NOT NULL,
  cause TEXT NOT NULL,
  network TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (minute_ms, cause, network)
) WITHOUT ROWID;
