// Changes as a review returns them, and a review in memory, for tests of the pages of changes.
import type {
  ChangeReview,
  ChangeView,
  ConcerningChanges,
  Decision,
  ShownColumn,
  ShownValue,
} from "../../src/changes/change-view.ts";
import { AppError } from "../../src/errors.ts";
import type { Identity } from "../../src/lib/identity.ts";

export const CHANGE_ID = "0123456789abcdef0123456789abcdef";
export const OTHER_ID = "fedcba9876543210fedcba9876543210";
export const PROOF = "p".repeat(64);

/** Writes a visible value of a row. */
export function value(content: string | number | null): ShownValue {
  return { kind: "value", value: content };
}

/** Writes a column that the change sets unless `isSet` is false. */
export function column(name: string, { isSet = true, isUntrusted = false } = {}): ShownColumn {
  return { name, isSet, isUntrusted };
}

/** Builds a change that waits for the viewer: one row, whose state becomes closed. */
export function buildView(overrides: Partial<ChangeView> = {}): ChangeView {
  return {
    id: CHANGE_ID,
    dataset: "shop.tickets",
    operation: "update",
    undoes: null,
    state: "proposed",
    approval: "reviewer",
    rowCount: 1,
    requester: "analyst@harbor.example",
    proposedMs: Date.UTC(2026, 10, 27, 10, 0),
    expiresMs: Date.UTC(2026, 10, 28, 10, 0),
    isOwn: false,
    client: "https://client.example/metadata.json",
    reason: "The customer confirmed the delivery.",
    explanation: null,
    decision: null,
    appliedMs: null,
    columns: [column("id", { isSet: false }), column("state")],
    rows: [{ before: [value(42), value("open")], after: [value(42), value("closed")] }],
    unseenRows: 0,
    hasDrifted: false,
    proof: PROOF,
    mayDecide: { isAllowed: true },
    mayDeny: false,
    mayUndo: { isAllowed: false, why: "It was not applied." },
    ...overrides,
  };
}

/** A call that a page made, as the review received it. */
interface ReviewCall {
  readonly method: "decide" | "undo";
  readonly subjectId: string;
  readonly id: string;
  readonly decision?: Decision;
}

/** A review that holds one change, applies the rules of the interface to it, and keeps the calls that change something. */
export interface MemoryReview extends ChangeReview {
  readonly calls: readonly ReviewCall[];
}

/** Creates a review of `initial`. `lists` is what the viewer's list holds. */
export function createMemoryReview(
  initial: ChangeView,
  lists: ConcerningChanges = { waiting: [], own: [] },
): MemoryReview {
  let view = initial;
  const calls: ReviewCall[] = [];
  const find = (id: string): ChangeView => {
    if (id !== view.id) throw new AppError("not_found", "There is no such change, or you may not see it.");
    return view;
  };
  return {
    calls,
    list: async () => lists,
    view: async (_viewer: Identity, id: string) => find(id),
    async decide({ subjectId, email }, id, decision) {
      calls.push({ method: "decide", subjectId, id, decision });
      const { mayDecide, state, proof } = find(id);
      if (!mayDecide.isAllowed) throw new AppError("not_allowed", mayDecide.why);
      if (state !== "proposed") throw new AppError("invalid_input", "This change was decided before.");
      if (decision.proof !== proof) throw new AppError("invalid_input", "The change is not the one that you saw.");
      const { approves } = decision;
      const atMs = Date.UTC(2026, 10, 27, 11, 0);
      view = {
        ...view,
        state: approves ? "applied" : "denied",
        decision: { approves, by: email, place: "page", atMs },
      };
      return view.state;
    },
    async undo({ subjectId }, id) {
      calls.push({ method: "undo", subjectId, id });
      const { mayUndo } = find(id);
      if (!mayUndo.isAllowed) throw new AppError("not_allowed", mayUndo.why);
      return OTHER_ID;
    },
  };
}
