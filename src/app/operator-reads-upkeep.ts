// Moves the commands that have read the audit log into the operator's ledger, in the composition root.
import { moveOperatorReads } from "../audit-reading/operator-reads.ts";
import { openOperatorReadStore } from "../audit-reading/operator-read-store.ts";
import { openAuditRecordStore } from "../audit/audit-record-store.ts";
import { OPERATOR_LEDGER } from "../audit/operator-ledger.ts";
import { openLedgers } from "./bindings.ts";

/** Moves what commands have written since the last time. */
export async function recordOperatorReads(env: Env): Promise<void> {
  await moveOperatorReads({
    store: openOperatorReadStore(env.GATEHOUSE_DB),
    records: openAuditRecordStore(env.GATEHOUSE_DB),
    ledger: openLedgers(env)(OPERATOR_LEDGER),
    now: Date.now,
  });
}
