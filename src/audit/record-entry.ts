// An audit record as people and programs read it: one flat entry with the names of the export. Also says by which terms it is found.
import * as z from "zod";
import type { LedgerRecord } from "./audit-record.ts";
import { listKeyTerms } from "./record-keys.ts";
import type { RecordedKeys } from "./record-keys.ts";

/** A record as JSON. Null: the value was erased, or the record was written by a version that did not store it. */
export interface AuditEntry {
  /** The subject id of the user whose ledger holds the record. */
  readonly ledger: string;
  readonly seq: number;
  /** When the call began and ended, in ISO 8601 (UTC). */
  readonly began: string | null;
  readonly ended: string | null;
  readonly call: string | null;
  /** The subject id: a user's, or that of a personal access token. */
  readonly subject: string | null;
  /** The subject id of the owner when a personal access token called. */
  readonly owner: string | null;
  readonly client: string | null;
  /** The protocol era of the client: `2025` or `2026`; null for the server's own pages. */
  readonly era: string | null;
  readonly session: string | null;
  readonly trace: string | null;
  readonly action: string | null;
  /** What the request names: a source, a dataset, an id or a URI. */
  readonly resource: string | null;
  /** The request as the user wrote it, with `?` for each literal of SQL unless the policy asks for all. */
  readonly arguments: string | null;
  /** `allowed`, `denied`, or `none` when the call failed for another reason. */
  readonly decision: "allowed" | "denied" | "none";
  /** `answered`, `denied`, `failed` or `interrupted`. */
  readonly outcome: string | null;
  readonly code: string | null;
  readonly roles: readonly string[] | null;
  readonly rules: readonly string[] | null;
  readonly denials: readonly string[] | null;
  readonly datasets: readonly string[] | null;
  /** The columns that were read, as `source.table.column`. */
  readonly columns: readonly string[] | null;
  readonly masked: readonly string[] | null;
  readonly untrusted: readonly string[] | null;
  readonly rows: number | null;
  readonly bytes: number | null;
  readonly cut: boolean | null;
  readonly result: string | null;
  readonly approver: string | null;
  readonly hash: string;
  /** The rows that were returned, by dataset. */
  readonly keys: RecordedKeys | null;
}

const text = z.string().nullable().catch(null);
const list = z.array(z.string()).nullable().catch(null);
const number = z.number().nullable().catch(null);

/** The body of a record of any version. What a version did not store, or what was erased, is null. */
const bodySchema = z.object({
  attempt: z
    .object({
      call: text,
      subjectId: text,
      owner: text,
      clientId: text,
      operation: text,
      asked: text,
      resource: text,
      era: text,
      session: text,
      trace: text,
    })
    .partial()
    .catch({}),
  outcome: z
    .object({
      result: text,
      code: text,
      roles: list,
      rules: list,
      denials: list,
      datasets: list,
      columns: list,
      masked: list,
      untrusted: list,
      rows: number,
      bytes: number,
      cut: z.boolean().nullable().catch(null),
      kept: text,
      approver: text,
      keys: z
        .record(z.string(), z.object({ values: z.array(z.string()), complete: z.boolean() }))
        .nullable()
        .catch(null),
    })
    .partial()
    .catch({}),
  began: text.optional(),
  ended: text.optional(),
});

/** Reads a stored record. Throws `SyntaxError` when the body is not JSON, and `ZodError` when it is not an object. */
export function readEntry(ledger: string, { seq, body, hash }: Omit<LedgerRecord, "salts">): AuditEntry {
  const { attempt, outcome, began = null, ended = null } = bodySchema.parse(JSON.parse(body));
  const result = outcome.result ?? null;
  return {
    ledger,
    seq,
    began,
    ended,
    call: attempt.call ?? null,
    subject: attempt.subjectId ?? null,
    owner: attempt.owner ?? null,
    client: attempt.clientId ?? null,
    era: attempt.era ?? null,
    session: attempt.session ?? null,
    trace: attempt.trace ?? null,
    action: attempt.operation ?? null,
    resource: attempt.resource ?? null,
    arguments: attempt.asked ?? null,
    decision: result === "answered" ? "allowed" : result === "denied" ? "denied" : "none",
    outcome: result,
    code: outcome.code ?? null,
    roles: outcome.roles ?? null,
    rules: outcome.rules ?? null,
    denials: outcome.denials ?? null,
    datasets: outcome.datasets ?? null,
    columns: outcome.columns ?? null,
    masked: outcome.masked ?? null,
    untrusted: outcome.untrusted ?? null,
    rows: outcome.rows ?? null,
    bytes: outcome.bytes ?? null,
    cut: outcome.cut ?? null,
    result: outcome.kept ?? null,
    approver: outcome.approver ?? null,
    hash,
    keys: outcome.keys ?? null,
  };
}

/** Reads a stored record for a list, where one that cannot be read must not hide the others: its outcome is `unreadable`. */
export function readEntryForList(ledger: string, record: Omit<LedgerRecord, "salts">): AuditEntry {
  try {
    return readEntry(ledger, record);
  } catch {
    // The text was edited; verifyChain reports it.
    return { ...readEntry(ledger, { ...record, body: "{}" }), outcome: "unreadable" };
  }
}

/** Reads when the call ended, in milliseconds since the epoch, as the column `ended_ms` has it: 0 when the record does not say. */
export function readEndedMs({ ended }: AuditEntry): number {
  const endedMs = Date.parse(ended ?? "");
  return Number.isNaN(endedMs) ? 0 : endedMs;
}

/** What records can be found by. A record has a term for each value that it has. */
export type TermKind = "user" | "call" | "client" | "action" | "dataset" | "column" | "key" | "decision";

/** Writes a term as the table `audit_term` stores it. */
export function formatTerm(kind: TermKind, value: string): string {
  // Half a surrogate pair comes back from the database as another text.
  return `${kind} ${value}`.toWellFormed();
}

/** The action without a term of its own: most records have it. */
export const UNLISTED_ACTION = "query";

/**
 * Lists the terms of a record. Answered calls have none for their decision and no record has one for its action `query`: these are most
 * records, so a search reads them in the order of time.
 */
export function listTerms(entry: AuditEntry): readonly string[] {
  const { ledger, call, client, action, datasets, columns, keys, decision } = entry;
  return [
    formatTerm("user", ledger),
    // The record that a call's result was not stored is found with the call.
    ...(call === null ? [] : [formatTerm("call", call.replace(/ unstored$/, ""))]),
    ...(client === null || client === "" ? [] : [formatTerm("client", client)]),
    ...(action === null || action === UNLISTED_ACTION ? [] : [formatTerm("action", action)]),
    ...(datasets ?? []).map((dataset) => formatTerm("dataset", dataset)),
    ...(columns ?? []).map((column) => formatTerm("column", column)),
    ...listKeyTerms(keys ?? {}).map((key) => formatTerm("key", key)),
    ...(decision === "allowed" ? [] : [formatTerm("decision", decision)]),
  ];
}
