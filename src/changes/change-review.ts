// What a signed-in user does with changes on the pages of this server: sees those that concern them, decides, and takes back. This is the
// only way to a reviewer's approval, and its identity comes from a browser session. Each operation is audited.
import { BROWSER_CLIENT_ID, refusePat } from "../audit/browser-operation.ts";
import type { Audited, AuditedCall, WithAudit } from "../audit/audit.ts";
import type { Identity } from "../lib/identity.ts";
import { MAX_CHANGED_ROWS } from "../policy/change-model.ts";
import type { Subject } from "../policy/model.ts";
import { decideChange, nameDecision } from "./change-decision.ts";
import type { DecisionDependencies } from "./change-decision.ts";
import type { ChangeProposals } from "./change-proposals.ts";
import type { ChangeRegistry, RegisteredChange } from "./change-registry-store.ts";
import type { ChangeReview, ChangeSummary } from "./change-view.ts";
import type { ChangeTables } from "./change-tables.ts";
import { requireChange } from "./find-change.ts";

/** What the review needs. */
interface ReviewDependencies extends DecisionDependencies {
  readonly withAudit: WithAudit;
  readonly registry: Pick<ChangeRegistry, "listWaiting" | "listOwn">;
  readonly tables: ChangeTables;
  readonly proposals: Pick<ChangeProposals, "proposeUndo">;
  /** Finds the names with which clients registered themselves. */
  readonly findClientNames: (clientIds: readonly string[]) => Promise<ReadonlyMap<string, string>>;
}

/** A person sees every row that they decide on. */
const SHOWN_ROWS = MAX_CHANGED_ROWS;
const LISTED_CHANGES = 200;
const OWN_CHANGES = 20;

/** Creates the review. */
export function createChangeReview(dependencies: ReviewDependencies): ChangeReview {
  const { withAudit, registry, openChange, tables, viewer, proposals, findClientNames, now } = dependencies;
  const runCall = async <T>(
    identity: Identity,
    operation: string,
    id: string,
    work: (call: AuditedCall) => Promise<Audited<T>>,
  ): Promise<T> =>
    withAudit(
      { identity, clientId: BROWSER_CLIENT_ID },
      {
        operation,
        requestText: id,
        ...(id === "" ? {} : { resource: id }),
        reservedRows: SHOWN_ROWS,
        lockedSource: null,
      },
      async (call) => {
        refusePat(identity);
        return work(call);
      },
    );
  const readsTable = (subject: Subject, id: string): boolean => {
    const table = tables.find(id);
    return table !== undefined && tables.read(subject, table.dataset) !== undefined;
  };
  return {
    list: async (identity) =>
      runCall(identity, "list changes", "", async ({ subject }) => {
        const [waiting, own] = await Promise.all([
          registry.listWaiting(subject, now(), LISTED_CHANGES),
          registry.listOwn(identity.subjectId, OWN_CHANGES),
        ]);
        // A reviewer who does not read the table cannot decide, and is not told of it.
        const mine = waiting.filter(
          ({ dataset, approval }) => approval === "requester" || readsTable(subject, dataset),
        );
        return { answer: { waiting: mine.map(toSummary), own: own.map(toSummary) }, datasets: [], rules: [] };
      }),
    view: async (identity, id) =>
      runCall(identity, "show change", id, async ({ subject }) => {
        const change = await requireChange(openChange, subject, id);
        const [audited, names] = await Promise.all([
          viewer.view(change, subject, SHOWN_ROWS),
          findClientNames([change.clientId]),
        ]);
        const { client } = audited.answer;
        return { ...audited, answer: { ...audited.answer, client: names.get(client) ?? client } };
      }),
    decide: async (identity, id, { approves, proof }) =>
      runCall(identity, approves ? "approve change" : "deny change", id, async (call) => {
        const change = await decideChange(dependencies, call, { id, approves, proof, formClient: null });
        return { answer: change.state, ...nameDecision(change, approves) };
      }),
    undo: async (identity, id) =>
      runCall(identity, "undo change", id, async (call) => {
        const reason = "";
        const context = { identity, clientId: BROWSER_CLIENT_ID, call };
        const { change } = await proposals.proposeUndo(context, { change: id, reason });
        return { answer: change.id, datasets: [change.terms.dataset], rules: [change.rule] };
      }),
  };
}

function toSummary({
  subjectId: _subject,
  ownerId: _owner,
  reviewers: _reviewers,
  ...summary
}: RegisteredChange): ChangeSummary {
  return summary;
}
