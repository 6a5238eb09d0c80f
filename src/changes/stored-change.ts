// A change as its object stores it: what is asked for, by whom, what approves it, and what became of it.
import { getOwnerId } from "../lib/identity.ts";
import type { Identity } from "../lib/identity.ts";
import { sha256Hex } from "../lib/crypto.ts";
import type { Approval, ChangeOperation } from "../policy/change-model.ts";
import type { ChangeState, EndState } from "./change-states.ts";

/** What a change does, as it was asked for. */
export interface ChangeTerms {
  readonly dataset: string;
  readonly source: string;
  readonly operation: ChangeOperation;
  /** The change that this one takes back; null otherwise. Then `where` and `values` are those of that change, for people. */
  readonly undoes: string | null;
  readonly where: Readonly<Record<string, unknown>>;
  readonly values: Readonly<Record<string, unknown>>;
}

/** Who approved or denied a change. */
export interface Decider {
  readonly subjectId: string;
  /** The subject's address at that moment. */
  readonly email: string;
}

/** Where a person decided: on a page of this server, or in the form of the client that proposed the change. */
export type DecisionPlace = "page" | "form";

/**
 * Who decided a change, and when. `policy`: the policy asks for no person. An approved change may still end as `denied`, when rights ended
 * before it was applied.
 */
export type StoredDecision =
  | { readonly approves: boolean; readonly by: Decider; readonly place: DecisionPlace; readonly atMs: number }
  | { readonly approves: true; readonly by: "policy"; readonly atMs: number };

/** Why a change ended without being applied. change-explanations.ts has the words. */
export type EndReason =
  | "denied by a person"
  | "not decided in time"
  | "not applied in time"
  | "requester lost the right"
  | "approver lost the right"
  | "paused"
  | "rows have changed"
  | "rows not allowed"
  | "leaves sight"
  | "unsupported"
  | "unique"
  | "foreign key"
  | "not null"
  | "check"
  | "type"
  | "other";

/** How a change ends that the source did not apply. */
export interface ChangeEnd {
  readonly state: EndState;
  readonly endReason: EndReason;
}

/** An audit record of an apply that has begun: the id of its call, and the roles of the requester at that moment. */
export interface BegunRecord {
  readonly call: string;
  readonly roles: readonly string[];
}

/** A proposal that its object has accepted. */
export interface StoredChange {
  readonly id: string;
  readonly terms: ChangeTerms;
  /** Why the assistant asks for it: text of a model. */
  readonly reason: string;
  readonly requester: Identity;
  readonly clientId: string;
  /** The rule that allows it, and what it asks for. */
  readonly rule: string;
  readonly approval: Approval;
  readonly reviewers: readonly string[];
  /** The clients in whose form the requester may decide, as the rule names them. */
  readonly formClients: readonly string[];
  readonly rowCount: number;
  /** Names the images of the rows that are approved. */
  readonly previewId: string;
  readonly computedColumns: readonly string[];
  /** Binds a decision to exactly this change. */
  readonly proof: string;
  /** Equal for proposals of the same change by the same subject. */
  readonly digest: string;
  readonly proposedMs: number;
  readonly expiresMs: number;
  readonly state: ChangeState;
  /** Increases with each state. */
  readonly version: number;
  readonly decision: StoredDecision | null;
  /** Until when an approved change may be applied; null before the approval. */
  readonly approvalEndsMs: number | null;
  readonly appliedMs: number | null;
  readonly endReason: EndReason | null;
  /** How often its apply has begun. */
  readonly attempts: number;
  /** How it ends once it is certain that no earlier try has applied it. Null while its apply may be tried again. */
  readonly settlesAs: ChangeEnd | null;
  /** What the audit log still has to say of its end, in a record that has begun or in one of its own; null when nothing is left to say. */
  readonly pendingRecord: { readonly begun: BegunRecord | null } | null;
}

/** Parses what an object has stored. No other code writes there. */
export function parseStoredChange(text: string): StoredChange {
  return JSON.parse(text) as StoredChange;
}

/** Computes the proof of a change: it covers who asks, what is asked of which rows, and which approval it needs. */
export async function computeProof(
  change: Pick<
    StoredChange,
    "id" | "terms" | "reason" | "requester" | "rule" | "approval" | "reviewers" | "rowCount" | "previewId"
  >,
): Promise<string> {
  const { id, terms, reason, requester, rule, approval, reviewers, rowCount, previewId } = change;
  const { subjectId } = requester;
  return sha256Hex(JSON.stringify([id, terms, reason, subjectId, rule, approval, reviewers, rowCount, previewId]));
}

/** Computes the digest of a proposal: equal for the same change by the same subject. */
export async function digestProposal({ subjectId }: Identity, terms: ChangeTerms): Promise<string> {
  const sorted = (record: Readonly<Record<string, unknown>>): unknown =>
    Object.entries(record).toSorted(([left], [right]) => (left < right ? -1 : 1));
  const { dataset, operation, undoes, where, values } = terms;
  return sha256Hex(JSON.stringify([subjectId, dataset, operation, undoes, sorted(where), sorted(values)]));
}

/** The form of a change's id. */
const CHANGE_ID = /^[0-9a-f]{32}$/;

/** Whether a text has the form of a change's id. */
export function isChangeId(text: string): boolean {
  return CHANGE_ID.test(text);
}

/** Derives the id of a proposal from its idempotency key or the name of its call, so that a repeated proposal finds the same change. */
export async function deriveChangeId({ subjectId }: Identity, kind: "key" | "call", name: string): Promise<string> {
  return (await sha256Hex(JSON.stringify(["change", subjectId, kind, name]))).slice(0, 32);
}

/**
 * Whether the requester's answer in the form of a client counts: the rule names that client, it is the one that proposed the change, and
 * the user signed in there in person.
 */
export function acceptsFormFrom(
  {
    approval,
    formClients,
    clientId,
    requester,
  }: Pick<StoredChange, "approval" | "formClients" | "clientId" | "requester">,
  client: string,
): boolean {
  return (
    approval === "requester" && requester.token === undefined && clientId === client && formClients.includes(client)
  );
}

/** Whether a subject may decide as far as the identities tell. Roles and rows are checked besides. */
export function isPossibleDecider(
  { approval, requester }: Pick<StoredChange, "approval" | "requester">,
  { subjectId, email }: Decider,
): boolean {
  const ownerId = getOwnerId(requester);
  if (approval === "requester") return subjectId === ownerId;
  return (
    approval === "reviewer" && subjectId !== ownerId && subjectId !== requester.subjectId && email !== requester.email
  );
}
