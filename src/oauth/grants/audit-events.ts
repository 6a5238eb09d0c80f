// The audit records about connections: how a connection ended, and which of its access tokens were refused. The callers record only
// access tokens that were issued, each once, so that an attacker cannot fill a user's ledger with invented or repeated tokens.
import type { Attempt, Outcome } from "../../audit/audit-record.ts";

/** A record for a subject's ledger. Appending it again changes nothing. */
export interface AuditEvent {
  readonly attempt: Attempt;
  readonly outcome: Outcome;
  /** When it happened, in milliseconds since the epoch. */
  readonly atMs: number;
}

/** Why a grant ended, as text for the audit record. */
const GRANT_END_REASONS = {
  ended: "the user ended the connection",
  revoked: "the client revoked the connection",
  refused: "a refresh was refused; the connection was ended",
  spent: "a refresh token was presented again after the grace period; the connection was ended",
  replayed: "an authorization code was presented twice; the connection was ended",
  expired: "the connection was not used for too long",
  removed: "the member was removed",
} as const;

/** Why a grant ended. */
export type GrantEndReason = keyof typeof GRANT_END_REASONS;

/** The reasons that an attacker may have caused. Their records have the result `denied`. */
const SUSPICIOUS_END_REASONS: readonly GrantEndReason[] = ["spent", "replayed", "refused"];

/** Why /mcp refused an access token, as text for the audit record. */
const TOKEN_REFUSAL_REASONS = {
  expired: "an access token that had expired",
  revoked: "an access token that was revoked",
  elsewhere: "an access token for another resource",
} as const;

/** Why /mcp refused an access token. */
export type TokenRefusalReason = keyof typeof TOKEN_REFUSAL_REASONS;

/** The connection that an event is about. */
interface AuditEventSubject {
  readonly subjectId: string;
  readonly clientId: string;
  readonly grantId: string;
}

/** Creates the event of an ended grant. `call` identifies the event: a ledger appends it once. */
export function createEndEvent(
  call: string,
  subject: AuditEventSubject,
  endReason: GrantEndReason,
  atMs: number,
): AuditEvent {
  const denials = SUSPICIOUS_END_REASONS.includes(endReason) ? [GRANT_END_REASONS[endReason]] : [];
  return buildAuditEvent(call, subject, {
    operation: "end connection",
    reason: GRANT_END_REASONS[endReason],
    denials,
    atMs,
  });
}

/** Creates the event of a refused access token. `call` identifies the event, as in `createEndEvent`. */
export function createRefusalEvent(
  call: string,
  subject: AuditEventSubject,
  refusalReason: TokenRefusalReason,
  atMs: number,
): AuditEvent {
  return buildAuditEvent(call, subject, {
    operation: "present token",
    reason: TOKEN_REFUSAL_REASONS[refusalReason],
    denials: [TOKEN_REFUSAL_REASONS[refusalReason]],
    atMs,
  });
}

interface AuditEventDetails {
  readonly operation: string;
  readonly reason: string;
  readonly denials: readonly string[];
  readonly atMs: number;
}

function buildAuditEvent(
  call: string,
  { subjectId, clientId, grantId }: AuditEventSubject,
  { operation, reason, denials, atMs }: AuditEventDetails,
): AuditEvent {
  const emptyOutcome = {
    code: null,
    roles: [],
    datasets: [],
    rules: [],
    masked: [],
    untrusted: [],
    rows: 0,
    cut: false,
    kept: null,
  };
  return {
    attempt: { call, subjectId, owner: null, clientId, operation, asked: `${reason} (connection ${grantId})` },
    outcome: { result: denials.length === 0 ? "answered" : "denied", denials, ...emptyOutcome },
    atMs,
  };
}
