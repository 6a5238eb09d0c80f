// Evaluates the rights of an approved change again when its apply starts: those of the requester and of the approver, as they are at that
// moment. Begins the audit record of the apply, and writes its outcome.
import { AppError } from "../errors.ts";
import type { Attempt, EventLedger, Ledger, Outcome } from "../audit/audit-record.ts";
import { INTERRUPTED_OUTCOME } from "../audit/audit-record.ts";
import { getOwnerId } from "../lib/identity.ts";
import type { Identity } from "../lib/identity.ts";
import { APPROVALS } from "../policy/change-model.ts";
import type { ChangeGrant } from "../policy/change-model.ts";
import { planChange, planUndo } from "../policy/change-plan.ts";
import type { ChangePlan } from "../policy/change-plan.ts";
import { resolveSubject } from "../policy/evaluate.ts";
import type { MemberRecord, Policy, Subject } from "../policy/model.ts";
import { findUnreadableColumn, isReviewer } from "./change-access.ts";
import { viewChangedRows } from "./changed-rows.ts";
import type { Authorization, ChangeOptions, ChangeResult } from "./change-object.ts";
import type { ChangeTables } from "./change-tables.ts";
import type { Decider, EndReason, StoredChange } from "./stored-change.ts";

/** What evaluating needs. */
interface ApplyRightsDependencies {
  readonly policy: Policy;
  readonly tables: ChangeTables;
  readonly openLedger: (ownerId: string) => Ledger & EventLedger;
  /** Finds the address and groups with which a user was last seen. */
  readonly findUser: (subjectId: string) => Promise<Pick<Identity, "email" | "groups"> | undefined>;
  readonly readMember: (email: string) => Promise<MemberRecord>;
  /** Whether a personal access token of an owner is neither revoked nor expired. */
  readonly isPatActive: (ownerId: string, patId: string) => Promise<boolean>;
  readonly newId: () => string;
}

/** Describes a change for audit records, without values. */
export function describeChange({ id, terms }: Pick<StoredChange, "id" | "terms">): string {
  const { dataset, operation, undoes, values, where } = terms;
  const what = undoes === null ? operation : `undo of ${undoes}:`;
  const set = Object.keys(values);
  const by = Object.keys(where);
  return [
    `${what} ${dataset}`,
    ...(set.length > 0 ? [`set ${set.join(", ")}`] : []),
    ...(by.length > 0 ? [`where ${by.join(", ")}`] : []),
    `(change ${id})`,
  ].join(" ");
}

/** Creates the check of rights that a ChangeObject runs before each apply. */
export function createAuthorize(dependencies: ApplyRightsDependencies): ChangeOptions["authorize"] {
  const { policy, tables, openLedger, findUser, isPatActive, newId } = dependencies;
  return async (change): Promise<Authorization> => {
    const { id, requester, terms, decision } = change;
    const ownerId = getOwnerId(requester);
    const ledger = openLedger(ownerId);
    const user = await findUser(ownerId);
    const isTokenEnded = requester.token !== undefined && !(await isPatActive(ownerId, requester.token.id));
    if (user === undefined || decision === null || isTokenEnded)
      return { kind: "denied", endReason: "requester lost the right", begun: null };
    const identity = { ...requester, ...user };
    const attempt = buildAttempt(change, newId());
    const begun = await ledger.begin(attempt, identity, 0, null, "call", {});
    if (!begun.ok) {
      if (begun.reason === "paused") return { kind: "denied", endReason: "paused", begun: null };
      if (begun.reason === "grant_ended") return { kind: "denied", endReason: "requester lost the right", begun: null };
      throw new AppError("source_unavailable", `the apply of a change could not be recorded: ${begun.reason}`);
    }
    const subject = resolveSubject(policy, identity, begun.member);
    const record = { call: attempt.call, roles: subject.roles };
    const deny = (endReason: EndReason): Authorization => ({ kind: "denied", endReason, begun: record });
    if (begun.pausedSources.some(({ target }) => target === terms.source)) return deny("paused");
    const plan = planAgain(tables, subject, change);
    if (plan === undefined) return deny("requester lost the right");
    if (decision.by !== "policy" && !(await mayApprove(dependencies, change, decision.by, user.email)))
      return deny("approver lost the right");
    const { previewId, rowCount } = change;
    const setColumns = Object.keys(terms.values);
    return {
      kind: "allowed",
      planned: { id, undoes: terms.undoes, previewId, setColumns, rowCount, plan },
      begun: record,
    };
  };
}

/** Creates what records the end of a change: repeating it changes nothing. */
export function createRecord({
  openLedger,
  now,
}: {
  readonly openLedger: (ownerId: string) => Ledger & EventLedger;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}): ChangeOptions["record"] {
  return async (change, result, begun) => {
    const ledger = openLedger(getOwnerId(change.requester));
    const outcome = buildOutcome(change, result, begun?.roles ?? []);
    if (begun === null) {
      const attempt = buildAttempt(change, `change ${change.id} ${result.kind} ${change.version}`);
      await appendOutcome(ledger, attempt, outcome, now());
    } else await recordOutcome(ledger, buildAttempt(change, begun.call), outcome, now());
  };
}

/**
 * Whether the approver may approve the change today. Their address must be none of the requester's, neither today's nor that of the
 * proposal.
 */
async function mayApprove(
  { policy, tables, findUser, readMember }: ApplyRightsDependencies,
  change: StoredChange,
  approver: Decider,
  requesterEmail: string,
): Promise<boolean> {
  if (change.approval === "requester") return approver.subjectId === getOwnerId(change.requester);
  const user = await findUser(approver.subjectId);
  if (user === undefined || user.email === requesterEmail) return false;
  const subject = resolveSubject(policy, { ...approver, ...user }, await readMember(user.email));
  const table = tables.find(change.terms.dataset);
  const visible = table && tables.read(subject, table.dataset);
  if (table === undefined || visible === undefined || !isReviewer(change, subject)) return false;
  if (findUnreadableColumn(change, visible) !== undefined) return false;
  const { read } = await viewChangedRows(change, visible, table.target, { maxRows: 0, isOwn: false });
  return read.visible === read.total;
}

function buildAttempt(change: StoredChange, call: string): Attempt {
  const { id, requester, clientId, terms } = change;
  return {
    call,
    subjectId: requester.subjectId,
    owner: requester.token?.ownerId ?? null,
    clientId,
    operation: terms.undoes === null ? "apply change" : "apply undo",
    asked: describeChange(change),
    resource: id,
  };
}

/** Plans a change again under today's rights; undefined when they do not allow it with the approval that it has. */
function planAgain(tables: ChangeTables, subject: Subject, change: StoredChange): ChangePlan | undefined {
  const { terms, rowCount } = change;
  const table = tables.find(terms.dataset);
  const decision = table && tables.decide(subject, table.dataset);
  if (decision === undefined || !decision.allowed) return undefined;
  let plan: ChangePlan;
  try {
    const { operation, where, values } = terms;
    plan =
      terms.undoes === null
        ? planChange(decision, { operation, where, values })
        : { ...planUndo(decision, { operation, columns: Object.keys(values) }), where: [], values: [] };
  } catch (error) {
    if (error instanceof AppError) return undefined;
    throw error;
  }
  const grants = plan.grants.filter((grant) => rowCount <= grant.maxRows && isApprovedFor(grant, change));
  const grant = grants.find(({ rule }) => rule === change.rule) ?? grants[0];
  return grant === undefined ? undefined : { ...plan, grants: [grant] };
}

/** Whether the approval that a change has is at least the one that a grant asks for, and was given where the grant takes it. */
function isApprovedFor(grant: ChangeGrant, { approval, reviewers, decision, clientId }: StoredChange): boolean {
  const isInForm = decision !== null && decision.by !== "policy" && decision.place === "form";
  if (isInForm && !grant.formClients.includes(clientId)) return false;
  if (APPROVALS.indexOf(grant.approval) > APPROVALS.indexOf(approval)) return false;
  return grant.approval !== "reviewer" || reviewers.every((role) => grant.reviewers.includes(role));
}

/** Writes the outcome into the record that was begun. If its lease has ended meanwhile, a record of its own says what happened. */
async function recordOutcome(
  ledger: Ledger & EventLedger,
  attempt: Attempt,
  outcome: Outcome,
  nowMs: number,
): Promise<void> {
  const committed = await ledger.commit(attempt.call, outcome, { queryLock: "freed", bookmark: null });
  if (!committed.ok) await appendOutcome(ledger, { ...attempt, call: `${attempt.call} outcome` }, outcome, nowMs);
}

async function appendOutcome(ledger: EventLedger, attempt: Attempt, outcome: Outcome, nowMs: number): Promise<void> {
  const appended = await ledger.appendEvent(attempt, outcome, nowMs);
  if (!appended.ok) throw new Error("the outcome of a change could not be recorded");
}

const END_CODES = { expired: "interrupted", conflict: "conflict", failed: "query_failed" } as const;

/** Builds the outcome of the audit record. It names columns and counts, never a value. */
function buildOutcome(
  { terms, rule, decision }: StoredChange,
  result: ChangeResult,
  roles: readonly string[],
): Outcome {
  const base = { ...INTERRUPTED_OUTCOME, roles, rules: [rule] };
  if (result.kind === "applied")
    return {
      ...base,
      result: "answered",
      code: null,
      datasets: [terms.dataset],
      columns: Object.keys(terms.values).map((name) => `${terms.dataset}.${name}`),
      rows: result.rows,
      ...(decision === null ? {} : { approver: decision.by === "policy" ? "policy" : decision.by.subjectId }),
    };
  if (result.kind === "unknown") return { ...base, result: "failed", code: "source_unavailable" };
  const { state, endReason } = result;
  if (state === "denied") return { ...base, result: "denied", code: endReason === "paused" ? "paused" : "not_allowed" };
  return { ...base, result: "failed", code: END_CODES[state] };
}
