// When outsiders' text last reached an owner's assistant, in the table `flag` of a ledger.

/**
 * Stores that it did now. Approvals will read it: from then on, a change that the assistant asks for may follow instructions in that text.
 */
export function flagUntrusted(sql: SqlStorage, nowMs: number): void {
  sql.exec(
    "INSERT INTO flag (name, at_ms) VALUES ('untrusted', ?1) ON CONFLICT (name) DO UPDATE SET at_ms = ?1",
    nowMs,
  );
}
