// The parts of the page of one change: its state, who asks and why, the rows, and the forms that decide or undo it.
import type { ChangeState } from "../changes/change-states.ts";
import type { ChangeView } from "../changes/change-view.ts";
import { escapeInvisible } from "../lib/visible-text.ts";
import { CsrfField } from "../sign-in/csrf.tsx";
import { Badge, Notice, Timestamp } from "../ui/components.tsx";
import { ShownText } from "../ui/shown-text.tsx";
import { ChangeRows } from "./change-rows.tsx";
import { APPROVERS, STATES } from "./change-words.ts";
import { CHANGES_PATH } from "./start-page-user.tsx";

/** The form field with `approve` or `deny`. */
export const DECISION_FIELD = "decision";
/** The form field with the proof of what the person saw. */
export const PROOF_FIELD = "proof";

interface ChangeReportProps {
  readonly view: ChangeView;
  readonly csrfToken: string;
}

/** Renders the body of the page. */
export function ChangeReport({ view, csrfToken }: ChangeReportProps) {
  const { state, undoes, explanation, reason } = view;
  const { label, kind, meaning } = STATES[state];
  return (
    <>
      <p class="actions">
        <Badge kind={kind}>{label}</Badge>
        <span>{explanation === null ? meaning : escapeInvisible(explanation)}</span>
      </p>
      {undoes !== null && (
        <p>
          It takes back <a href={`${CHANGES_PATH}/${undoes}`}>an earlier change</a>.
        </p>
      )}
      <Facts {...view} />
      {reason !== "" && (
        <section aria-labelledby="reason">
          <h2 id="reason">Reason that the assistant gives</h2>
          <blockquote>
            <ShownText text={reason} />
          </blockquote>
          <p class="small soft">
            An assistant wrote this. It may be wrong, and it may repeat what people outside the organisation wrote:
            decide by the rows below.
          </p>
        </section>
      )}
      <section aria-labelledby="rows">
        <h2 id="rows">{state === "applied" ? "What was changed" : "What would be changed"}</h2>
        <Drift {...view} />
        {END_STATES.includes(state) ? (
          <p>The rows of a change are not kept once it has ended without being applied.</p>
        ) : (
          <ChangeRows {...view} />
        )}
      </section>
      <DecisionPart view={view} csrfToken={csrfToken} />
      <UndoPart view={view} csrfToken={csrfToken} />
      <p>
        <a href={CHANGES_PATH}>All your changes</a>
      </p>
    </>
  );
}

/** The states in which a change has ended without being applied. */
const END_STATES: readonly ChangeState[] = ["denied", "expired", "conflict", "failed"];

function Facts(view: ChangeView) {
  const { state, requester, isOwn, client, proposedMs, expiresMs, approval, decision, appliedMs } = view;
  return (
    <div class="sheet">
      <dl>
        <dt>Asked for by</dt>
        <dd>
          <bdi>{escapeInvisible(requester)}</bdi>
          {isOwn && " (you)"}, through <bdi>{escapeInvisible(client)}</bdi>
        </dd>
        <dt>Asked for</dt>
        <dd>
          <Timestamp ms={proposedMs} />
        </dd>
        {state === "proposed" && (
          <>
            <dt>Expires</dt>
            <dd>
              <Timestamp ms={expiresMs} />
            </dd>
          </>
        )}
        <dt>Who decides</dt>
        <dd>{APPROVERS[approval]}</dd>
        {decision !== null && (
          <>
            <dt>{decision.approves ? "Approved by" : "Denied by"}</dt>
            <dd>
              <bdi>{escapeInvisible(decision.by)}</bdi>
              {decision.place === "form" ? " in a form of the client" : ""}, <Timestamp ms={decision.atMs} />
            </dd>
          </>
        )}
        {appliedMs !== null && (
          <>
            <dt>Applied</dt>
            <dd>
              <Timestamp ms={appliedMs} />
            </dd>
          </>
        )}
      </dl>
    </div>
  );
}

/** Warns about rows that have changed meanwhile, in the states in which that matters. */
function Drift({ state, hasDrifted }: ChangeView) {
  if (!hasDrifted) return null;
  if (state === "applied")
    return (
      <Notice kind="warn">
        <p>These rows have changed again since this change was applied.</p>
      </Notice>
    );
  if (state !== "proposed" && state !== "approved") return null;
  return (
    <Notice kind="warn">
      <p>
        <strong>These rows have changed since the assistant asked,</strong> so the change cannot be applied to them.
      </p>
    </Notice>
  );
}

function DecisionPart({ view, csrfToken }: ChangeReportProps) {
  const { id, state, operation, proof, mayDecide, mayDeny } = view;
  if (state !== "proposed") return null;
  return (
    <section aria-labelledby="decide">
      <h2 id="decide">Decision</h2>
      {!mayDecide.isAllowed && <p>{escapeInvisible(mayDecide.why)}</p>}
      {(mayDecide.isAllowed || mayDeny) && (
        <form method="post" action={`${CHANGES_PATH}/${id}/decision`}>
          <CsrfField token={csrfToken} />
          <input type="hidden" name={PROOF_FIELD} value={proof} />
          {mayDecide.isAllowed && (
            <button
              class={operation === "delete" ? "primary danger" : "primary"}
              type="submit"
              name={DECISION_FIELD}
              value="approve"
            >
              Approve
            </button>
          )}
          <button type="submit" name={DECISION_FIELD} value="deny">
            {view.isOwn && !mayDecide.isAllowed ? "Withdraw" : "Deny"}
          </button>
        </form>
      )}
    </section>
  );
}

function UndoPart({ view: { id, state, mayUndo }, csrfToken }: ChangeReportProps) {
  if (state !== "applied") return null;
  return (
    <section aria-labelledby="undo">
      <h2 id="undo">Undo</h2>
      {mayUndo.isAllowed ? (
        <>
          <p>An undo is a change of its own: it has its own page, rows and decision.</p>
          <form method="post" action={`${CHANGES_PATH}/${id}/undo`}>
            <CsrfField token={csrfToken} />
            <button type="submit">Undo this change</button>
          </form>
        </>
      ) : (
        <p>{escapeInvisible(mayUndo.why)}</p>
      )}
    </section>
  );
}
