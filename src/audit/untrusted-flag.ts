// When outsiders' text last reached an owner's assistant, in the table `flag` of a ledger.

/** Stores that it did now. A change that the assistant asks for within some hours may follow instructions in that text. */
export function flagUntrusted(sql: SqlStorage, nowMs: number): void {
  sql.exec(
    "INSERT INTO flag (name, at_ms) VALUES ('untrusted', ?1) ON CONFLICT (name) DO UPDATE SET at_ms = ?1",
    nowMs,
  );
}

/** Reads when it last did, in milliseconds since the epoch; null if it never did. */
export function readUntrustedMs(sql: SqlStorage): number | null {
  const [flag] = sql.exec<{ at_ms: number }>("SELECT at_ms FROM flag WHERE name = 'untrusted'").toArray();
  return flag?.at_ms ?? null;
}
