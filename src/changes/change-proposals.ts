// Proposes changes and undos for an audited call: plans them under the subject's rights, registers them within the limits, and hands them
// to their objects. Nothing is applied here; a change that the policy applies without a person is applied by its object.
import { AppError } from "../errors.ts";
import { DeniedError } from "../audit/audit.ts";
import type { AuditedCall } from "../audit/audit.ts";
import type { Limits } from "../config/define-gatehouse.ts";
import { planChange, planUndo } from "../policy/change-plan.ts";
import type { ChangePlan, ChangeRequest } from "../policy/change-plan.ts";
import { APPROVALS } from "../policy/change-model.ts";
import type { AllowedChange, ChangeGrant } from "../policy/change-model.ts";
import { getOwnerId } from "../lib/identity.ts";
import type { Identity } from "../lib/identity.ts";
import { shortenText } from "../lib/text-cut.ts";
import type { Subject } from "../policy/model.ts";
import { suggestName } from "../sql/suggest.ts";
import { IS_UNDO, explainRefusal } from "./change-explanations.ts";
import type { ChangeRpc, Proposed } from "./change-rpc.ts";
import type { ChangeRegistry } from "./change-registry-store.ts";
import type { ChangeTables, TargetTable } from "./change-tables.ts";
import { requireChange } from "./find-change.ts";
import { deriveChangeId, digestProposal } from "./stored-change.ts";
import type { ChangeTerms, StoredChange } from "./stored-change.ts";

/** Who proposes, in which call. */
export interface ProposalContext {
  readonly identity: Identity;
  readonly clientId: string;
  /** Names a call that may run again after a restart: then it finds the change that it has proposed. */
  readonly callId?: string | undefined;
  readonly call: Pick<AuditedCall, "subject" | "untrustedMs" | "pausedSources">;
}

/** A change as a client asks for it. */
export interface ProposalInput extends ChangeRequest {
  readonly dataset: string;
  readonly reason: string;
  /** An idempotency key: a second proposal of the same subject with the same key is the same change. */
  readonly key: string | undefined;
}

/** A proposal that was accepted, or the earlier one that is the same. */
export interface AcceptedProposal {
  readonly change: StoredChange;
  /** Whether an earlier call has proposed it. A call that runs again after a restart is the same call. */
  readonly isRepeated: boolean;
  /** When the same subject's identical change was applied last; null when it never was. */
  readonly identicalAppliedMs: number | null;
}

/** Proposes changes. */
export interface ChangeProposals {
  /** Errors: those of `planChange`; `not_found` for a dataset that the subject does not read; `limit_reached`; `source_unavailable`. */
  propose(context: ProposalContext, input: ProposalInput): Promise<AcceptedProposal>;
  /** Errors: as `propose`; `not_found` for a change that the subject does not see; `conflict` when its rows are not as it left them. */
  proposeUndo(
    context: ProposalContext,
    input: { readonly change: string; readonly reason: string },
  ): Promise<AcceptedProposal>;
}

/** What proposals need. */
export interface ProposalDependencies {
  readonly tables: ChangeTables;
  readonly registry: Pick<ChangeRegistry, "register" | "remove">;
  readonly openChange: (id: string) => ChangeRpc;
  readonly limits: Pick<
    Limits,
    "openChanges" | "openChangesPerDataset" | "changeSeconds" | "undoSeconds" | "untrustedWindowSeconds"
  >;
  readonly newId: () => string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** The most characters of a name that the caller made up, in a message. */
const MAX_SHOWN_NAME_CHARACTERS = 100;

/** How long a proposal counts as open whose object has not stored it. */
const REGISTRATION_MS = 60_000;

/** Creates the proposals. */
export function createChangeProposals(dependencies: ProposalDependencies): ChangeProposals {
  const { tables, registry, openChange, limits, newId, now } = dependencies;

  async function submit(
    { identity, clientId, callId, call }: ProposalContext,
    { terms, reason, key, plan, endsMs }: Submission,
  ): Promise<AcceptedProposal> {
    const nowMs = now();
    const digest = await digestProposal(identity, terms);
    const ownId = await chooseId(identity, key, callId);
    const registration = await registry.register(
      {
        id: ownId,
        dataset: terms.dataset,
        operation: terms.operation,
        undoes: terms.undoes,
        subjectId: identity.subjectId,
        ownerId: getOwnerId(identity),
        digest,
        hasKey: key !== undefined,
        proposedMs: nowMs,
        // Longer than a preview takes. Its object extends it.
        expiresMs: nowMs + REGISTRATION_MS,
      },
      { perSubject: limits.openChanges, perDataset: limits.openChangesPerDataset },
    );
    if (registration.kind === "other change")
      throw new AppError("invalid_input", "This key was used for another change. Use a new key for each change.");
    if (registration.kind === "too many") throw createLimitError(registration.of, terms.dataset);
    const id = registration.kind === "existing" ? registration.id : ownId;
    const isUnsafe = call.untrustedMs !== null && nowMs - call.untrustedMs < limits.untrustedWindowSeconds * 1000;
    // An earlier proposal of the same change that died before its object stored it goes on here.
    const proposed: Proposed = await openChange(id).propose({
      id,
      terms,
      reason,
      requester: identity,
      clientId,
      digest,
      proposedMs: nowMs,
      expiresMs: Math.min(nowMs + limits.changeSeconds * 1000, endsMs),
      planned: {
        id,
        undoes: terms.undoes,
        previewId: `${id}.${newId()}`,
        setColumns: Object.keys(terms.values),
        rowCount: null,
        plan,
      },
      needsConfirmation: isUnsafe,
    });
    if (proposed.kind === "refused") {
      await registry.remove(id);
      throw explainRefusal(proposed.preview, terms.dataset, terms.undoes !== null);
    }
    const appliedMs = registration.kind === "registered" ? registration.appliedMs : null;
    const isOwnCall = key === undefined && callId !== undefined && id === ownId;
    return { change: proposed.change, isRepeated: !proposed.isNew && !isOwnCall, identicalAppliedMs: appliedMs };
  }

  async function chooseId(identity: Identity, key: string | undefined, callId: string | undefined): Promise<string> {
    if (key !== undefined) return deriveChangeId(identity, "key", key);
    return callId === undefined ? newId() : deriveChangeId(identity, "call", callId);
  }

  function createUnchangeableError(name: string, subject: Subject): AppError {
    const changeable = tables.listChangeable(subject);
    const meant = changeable.find((id) => id.endsWith(`.${name}`)) ?? suggestName(name, changeable);
    const advice = meant === undefined ? "Call describe for what you may do." : `Did you mean ${meant}?`;
    const shownName = JSON.stringify(shortenText(name, MAX_SHOWN_NAME_CHARACTERS));
    return new AppError("not_allowed", `${shownName} is no table that you may change. ${advice}`);
  }

  /** Finds a table that the subject reads, and what it may change there. */
  function decide({ call }: ProposalContext, id: string): { table: TargetTable; decision: AllowedChange } {
    const table = tables.find(id);
    if (table === undefined) throw createUnchangeableError(id, call.subject);
    const paused = call.pausedSources.get(table.dataset.source);
    if (paused !== undefined && tables.read(call.subject, table.dataset) !== undefined)
      throw new DeniedError(paused, [`${table.dataset.source}: paused`], []);
    const decision = tables.decide(call.subject, table.dataset);
    if (decision.allowed) return { table, decision };
    // The error is that of a table without rules: a user who may not read this one must not learn that it exists.
    throw new DeniedError(createUnchangeableError(id, call.subject), [`${id}: ${decision.reason}`], decision.rules);
  }

  async function findApplied(
    { call }: ProposalContext,
    id: string,
  ): Promise<{ readonly change: StoredChange; readonly undoableUntilMs: number }> {
    const change = await requireChange(openChange, call.subject, id);
    if (change.terms.undoes !== null) throw new AppError("invalid_input", IS_UNDO);
    if (change.state !== "applied" || change.appliedMs === null)
      throw new AppError("invalid_input", `This change is ${change.state}. Only an applied change can be undone.`);
    const undoableUntilMs = change.appliedMs + limits.undoSeconds * 1000;
    if (now() >= undoableUntilMs)
      throw new AppError(
        "invalid_input",
        "The change is too old to be undone. Propose a change that sets the rows as they should be.",
      );
    return { change, undoableUntilMs };
  }

  return {
    async propose(context, { dataset: id, reason, key, ...request }) {
      const { table, decision } = decide(context, id);
      const plan = planChange(decision, request);
      const { operation, where, values } = request;
      const terms = { dataset: id, source: table.dataset.source, operation, undoes: null, where, values };
      return submit(context, { terms, reason, key, plan, endsMs: Infinity });
    },
    async proposeUndo(context, { change: id, reason }) {
      const { change, undoableUntilMs } = await findApplied(context, id);
      const { table, decision } = decide(context, change.terms.dataset);
      const { operation, values } = change.terms;
      const plan = { ...planUndo(decision, { operation, columns: Object.keys(values) }), where: [], values: [] };
      const grants = plan.grants.map((grant) => withApprovalOf(grant, change));
      const undoneBy = await table.target.findUndo(id);
      if (undoneBy !== null) throw new AppError("invalid_input", `The change ${undoneBy} has undone this one.`);
      const terms = { ...change.terms, undoes: id };
      return submit(context, { terms, reason, key: undefined, plan: { ...plan, grants }, endsMs: undoableUntilMs });
    },
  };
}

/** What is asked for, planned under the subject's rights. */
interface Submission {
  readonly terms: ChangeTerms;
  readonly reason: string;
  readonly key: string | undefined;
  readonly plan: ChangePlan;
  /** When it expires at the latest, in milliseconds since the epoch. */
  readonly endsMs: number;
}

/** Raises the approval of a grant to that of the change that is taken back, with its reviewers. */
function withApprovalOf(grant: ChangeGrant, { approval, reviewers }: StoredChange): ChangeGrant {
  const isMilder = APPROVALS.indexOf(grant.approval) < APPROVALS.indexOf(approval);
  return isMilder ? { ...grant, approval, reviewers } : grant;
}

function createLimitError(of: "subject" | "dataset", dataset: string): AppError {
  return new AppError(
    "limit_reached",
    of === "subject"
      ? "You have too many changes that wait for a decision. Decide some of them first, or wait until they expire."
      : `Too many changes of ${dataset} wait for a decision. Try again when some have been decided.`,
  );
}
