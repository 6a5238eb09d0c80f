// The retention of audit records in the composition root: removes records that are older than the operator keeps them, and warns when
// GATEHOUSE_DB fills.
import { openAuditRecordStore } from "../audit/audit-record-store.ts";
import { removeOldRecords } from "../audit/audit-retention.ts";
import { openCheckpointStore } from "../audit/checkpoint-store.ts";
import { openSigningKey } from "../audit/head-signature.ts";
import type { AuditSettings } from "../config/define-gatehouse.ts";
import { readExportedId } from "./audit-archive.ts";
import { logError, logWarning } from "./bindings.ts";
import { readDatabaseSize } from "./database-size-store.ts";

/** Bytes that a D1 database holds at most, and the share of them from which on the operator is warned. */
const MAX_DATABASE_BYTES = 10_000_000_000;
const FILLING_SHARE = 1 / 2;

const UNSOUND = {
  record: (seq: number) => `record ${seq}`,
  checkpoint: (seq: number) => `the checkpoint at record ${seq}`,
} as const;
const REMEDY = {
  record:
    "does not fit its chain, so the retention leaves it and those after it. Run npm run gatehouse -- audit verify.",
  checkpoint:
    "is not signed with GATEHOUSE_AUDIT_KEY, so the retention leaves the records after it. " +
    "If the key was changed, set the earlier one again.",
} as const;

/** Runs one part of it. Without GATEHOUSE_AUDIT_KEY no checkpoint can be signed, so nothing is removed. */
export async function maintainAuditRecords(
  env: Env,
  { retentionDays }: Pick<AuditSettings, "retentionDays">,
): Promise<void> {
  await warnFilling(env);
  const key = await openSigningKey(Reflect.get(env, "GATEHOUSE_AUDIT_KEY"));
  if (retentionDays === undefined || key === null) return;
  const checkpoints = openCheckpointStore(env.GATEHOUSE_DB);
  const records = openAuditRecordStore(env.GATEHOUSE_DB);
  const maxId = (await readExportedId(env)) ?? Number.MAX_SAFE_INTEGER;
  await removeOldRecords(
    {
      checkpoints,
      records,
      key,
      maxId,
      now: Date.now,
      onUnsound: (ledger, { what, seq }) =>
        logWarning(`audit_unsound: ${UNSOUND[what](seq)} of the ledger ${ledger} ${REMEDY[what]}`),
      onError: (error) => logError("the retention of audit records", error),
    },
    retentionDays,
  );
}

async function warnFilling(env: Env): Promise<void> {
  const bytes = await readDatabaseSize(env.GATEHOUSE_DB);
  if (bytes < MAX_DATABASE_BYTES * FILLING_SHARE) return;
  logWarning(
    `database_filling: GATEHOUSE_DB has ${bytes} bytes, and D1 holds ${MAX_DATABASE_BYTES}. When it is full, ledgers fill and calls are ` +
      "refused. Set audit.retentionDays to remove old audit records.",
  );
}
