// Takes a person's decision on a change: checks that they may decide, and hands it to the change's object, which checks it again.
import { AppError } from "../errors.ts";
import { DeniedError } from "../audit/audit.ts";
import type { Audited, AuditedCall } from "../audit/audit.ts";
import type { ChangeRpc } from "./change-rpc.ts";
import type { Decision } from "./change-view.ts";
import type { ChangeViewer } from "./change-viewer.ts";
import { requireChange } from "./find-change.ts";
import { acceptsFormFrom } from "./stored-change.ts";
import type { StoredChange } from "./stored-change.ts";

/** What deciding needs. */
export interface DecisionDependencies {
  readonly openChange: (id: string) => ChangeRpc;
  readonly viewer: ChangeViewer;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** A person's decision on one change. */
export interface DecisionInput extends Decision {
  readonly id: string;
  /** The client whose form was answered; null for a page of this server. */
  readonly formClient: string | null;
}

/**
 * Decides, and returns the change afterwards. Errors: `not_found`; `not_allowed` when the person may not decide, or not in a form;
 * `paused`; `invalid_input` when it was decided before, has expired, or `proof` is of something else.
 */
export async function decideChange(
  { openChange, viewer, now }: DecisionDependencies,
  { subject, pausedSources }: Pick<AuditedCall, "subject" | "pausedSources">,
  { id, approves, proof, formClient }: DecisionInput,
): Promise<StoredChange> {
  const change = await requireChange(openChange, subject, id);
  if (formClient !== null && !acceptsFormFrom(change, formClient))
    throw new DeniedError(
      new AppError("not_allowed", "The rule of this change takes the decision only on a page of this server."),
      [`${id}: form_not_named`],
      [],
    );
  const paused = approves ? pausedSources.get(change.terms.source) : undefined;
  if (paused !== undefined) throw new DeniedError(paused, [`${change.terms.source}: paused`], []);
  const { answer: view } = await viewer.view(change, subject, 0);
  const isClosed = change.state !== "proposed" || now() >= change.expiresMs;
  // A user who may not approve may not deny either, but rows that have changed keep no denial back.
  if (!isClosed && !view.mayDecide.isAllowed && (approves || !view.mayDeny))
    throw new DeniedError(new AppError("not_allowed", view.mayDecide.why), [`${id}: ${view.mayDecide.why}`], []);
  const by = { subjectId: subject.subjectId, email: subject.email };
  const decided = await openChange(id).decide({ approves, proof, by, formClient });
  if (decided.kind === "closed")
    throw new AppError(
      "invalid_input",
      `This change has been decided or has expired, so nothing was done. It is ${decided.state}.`,
    );
  if (decided.kind === "refused")
    throw new DeniedError(
      new AppError("invalid_input", "The form is of another change, so nothing was done. Open the change again."),
      [`${id}: wrong_proof`],
      [],
    );
  return decided.change;
}

/** Names what a decision was about for its audit record. A denial takes a right away, so a pause of the source does not keep its answer. */
export function nameDecision({ terms, rule }: StoredChange, approves: boolean): Omit<Audited<never>, "answer"> {
  return { datasets: approves ? [terms.dataset] : [], rules: [rule] };
}
