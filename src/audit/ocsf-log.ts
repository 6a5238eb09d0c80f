// Audit records as log lines for a SIEM, in the class API Activity of the Open Cybersecurity Schema Framework. A line has ids and the names
// of datasets and columns: no address, no text of a user, and no reason in words, which may name one.
import { readEndedMs, readEntry } from "./record-entry.ts";
import type { AuditEntry } from "./record-entry.ts";
import type { RecordReceiver } from "./record-flush.ts";

const OCSF_VERSION = "1.6.0";
const CATEGORY_UID = 6;
const CLASS_UID = 6003;
const READ = { id: 2, name: "Read" } as const;
const OTHER_ID = 99;
const READ_ACTIONS: ReadonlySet<string | null> = new Set([
  "query",
  "fetch",
  "search",
  "describe",
  "read resource",
  "list resources",
  "introduce",
  "complete",
  "replay",
  "read audit log",
  "read own records",
]);
/**
 * The platform drops what an invocation logs beyond 256 KB. A line is at most 5.3 times as long as its record with the salts, which it is
 * with many short names of rules.
 */
const MAX_RUN_BYTES = 45_000;

/** Sends records to a store, and logs those that it has. A record is logged again when its batch is sent again. */
export function withOcsfLog({ append, ping }: RecordReceiver, write: (line: string) => void): RecordReceiver {
  return {
    maxRunBytes: MAX_RUN_BYTES,
    ping,
    async append(ledger, records) {
      const stored = await append(ledger, records);
      for (const record of records)
        if (stored.get(record.seq) === record.hash) write(formatOcsfLine(readEntry(ledger, record)));
      return stored;
    },
  };
}

/** Writes the line of a record. docs/audit-archive.md lists the fields. */
export function formatOcsfLine(entry: AuditEntry): string {
  const { ledger, seq, call, subject, client, session, action, code, outcome, datasets, columns, rules } = entry;
  const activity = READ_ACTIONS.has(action) ? READ : { id: OTHER_ID, name: action ?? "unknown" };
  const resources = (names: readonly string[] | null, type: string) => (names ?? []).map((name) => ({ type, name }));
  const isSuccess = outcome === "answered";
  return JSON.stringify(
    {
      category_uid: CATEGORY_UID,
      class_uid: CLASS_UID,
      activity_id: activity.id,
      activity_name: activity.name,
      type_uid: CLASS_UID * 100 + activity.id,
      time: readEndedMs(entry),
      severity_id: 1,
      status_id: outcome === null ? 0 : isSuccess ? 1 : 2,
      status: outcome === null ? "Unknown" : isSuccess ? "Success" : "Failure",
      status_code: code,
      status_detail: outcome,
      metadata: {
        version: OCSF_VERSION,
        product: { name: "Gatehouse", vendor_name: "Gatehouse" },
        log_name: "audit",
        uid: `${ledger}/${seq}`,
        correlation_uid: call,
        sequence: seq,
      },
      actor: {
        user: { uid: subject ?? ledger },
        session: session === null ? null : { uid: session },
        app_uid: client || null,
        authorizations: (rules ?? []).map((uid) => ({ decision: entry.decision, policy: { uid } })),
      },
      // A record has no network address.
      src_endpoint: { uid: client || "gatehouse" },
      api: {
        operation: action ?? "unknown",
        service: { name: "gatehouse" },
        request: call === null ? null : { uid: call },
        response: code === null ? null : { error: code },
      },
      resources: [...resources(datasets, "dataset"), ...resources(columns, "column")],
      unmapped: listUnmapped(entry),
    },
    // OCSF leaves out what is not known.
    (_key, value: unknown) => (value === null || (Array.isArray(value) && value.length === 0) ? undefined : value),
  );
}

function listUnmapped({
  owner,
  era,
  trace,
  roles,
  masked,
  untrusted,
  rows,
  bytes,
  cut,
  result,
  approver,
  hash,
}: AuditEntry) {
  return { owner, era, trace, roles, masked, untrusted, rows, bytes, cut, result, approver, hash };
}
