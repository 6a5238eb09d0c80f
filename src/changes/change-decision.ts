// Takes a person's decision on a change: checks that they may decide, and hands it to the change's object, which checks it again.
import { AppError } from "../errors.ts";
import { DeniedError } from "../audit/audit.ts";
import type { AuditedCall } from "../audit/audit.ts";
import type { ChangeRpc } from "./change-rpc.ts";
import type { ChangeState } from "./change-states.ts";
import type { Decision } from "./change-view.ts";
import type { ChangeViewer } from "./change-viewer.ts";
import { requireChange } from "./find-change.ts";
import { isFormOf } from "./stored-change.ts";
import type { StoredChange } from "./stored-change.ts";

/** What deciding needs. */
export interface DecisionDependencies {
  readonly openChange: (id: string) => ChangeRpc;
  readonly viewer: ChangeViewer;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** A person's decision on one change. */
export interface PersonalDecision extends Decision {
  readonly id: string;
  /** The client whose form was answered; null for a page of this server. */
  readonly formClient: string | null;
}

/** A change as it was when a person decided on it, and its state afterwards. */
export interface DecidedChange {
  readonly change: StoredChange;
  readonly state: ChangeState;
}

/**
 * Decides. Errors: `not_found`; `not_allowed` when the person may not decide, or not in a form; `paused`; `invalid_input` when it was
 * decided before, has expired, or `proof` is of something else.
 */
export async function decideChange(
  { openChange, viewer, now }: DecisionDependencies,
  { subject, pausedSources }: Pick<AuditedCall, "subject" | "pausedSources">,
  { id, approves, proof, formClient }: PersonalDecision,
): Promise<DecidedChange> {
  const change = await requireChange(openChange, subject, id);
  const refuse = (why: string): DeniedError => new DeniedError(new AppError("not_allowed", why), [`${id}: ${why}`], []);
  if (formClient !== null && !isFormOf(change, formClient))
    throw refuse("The rule of this change takes the decision only on a page of this server.");
  const paused = approves ? pausedSources.get(change.terms.source) : undefined;
  if (paused !== undefined) throw new DeniedError(paused, [`${change.terms.source}: paused`], []);
  const { answer: view } = await viewer.view(change, subject, 0);
  const isClosed = change.state !== "proposed" || now() >= change.expiresMs;
  // A user who may not approve may not deny either, but rows that have changed do not keep anyone from denying.
  if (!isClosed && !view.mayDecide.isAllowed && (approves || !view.mayDeny)) throw refuse(view.mayDecide.why);
  const by = { subjectId: subject.subjectId, email: subject.email };
  const decided = await openChange(id).decide({ approves, proof, by, formClient });
  if (decided.kind === "closed")
    throw new AppError(
      "invalid_input",
      `This change has been decided or has expired, so nothing was done. It is ${decided.state}.`,
    );
  if (decided.kind === "refused")
    throw new AppError("invalid_input", "The form is of another change, so nothing was done. Open the change again.");
  return { change, state: decided.state };
}
