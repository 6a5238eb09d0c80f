// What the requester's own client may ask after a proposal: to open the page of the change, or, where the rule names the client, to decide
// in a form, whose text has everything that the page would show.
import type { ChangeView, ShownColumn, ShownRow, ShownValue } from "../changes/change-view.ts";
import { isFormOf } from "../changes/stored-change.ts";
import type { StoredChange } from "../changes/stored-change.ts";
import { countOf } from "../lib/count-of.ts";
import { shortenText } from "../lib/text-cut.ts";
import { escapeInvisible } from "../lib/visible-text.ts";

/** A question to the person who asked for a change. */
export interface ChangeQuestion {
  readonly change: string;
  /** Binds a decision to exactly this change. */
  readonly proof: string;
  /** The page on which the person decides. */
  readonly url: string;
  /** Says what the change does, in one line. */
  readonly summary: string;
  /** The text of a form; null where a form would not count, or would not show all of the change. */
  readonly form: string | null;
}

/** The longest text of a form. A person reads all of it, and clients show it in a small window. */
const MAX_FORM_CHARACTERS = 2000;
const MAX_REASON_CHARACTERS = 300;

/** Builds the question; null when the requester is not the one who decides, or does not decide now. `clientId` proposes. */
export function buildChangeQuestion(
  change: StoredChange,
  view: ChangeView,
  { url, clientId }: { readonly url: string; readonly clientId: string },
): ChangeQuestion | null {
  // A program with a personal access token has no person in front of it.
  const isAsked = change.approval === "requester" && change.requester.token === undefined;
  if (!isAsked || !view.mayDecide.isAllowed) return null;
  const summary = `${describeOperation(view)} ${countOf(view.rowCount, "row")} of ${view.dataset}`;
  const form = isFormOf(change, clientId) ? buildForm(view, summary) : null;
  return { change: change.id, proof: change.proof, url, summary, form };
}

function buildForm(view: ChangeView, summary: string): string | null {
  if (view.rows.length < view.rowCount) return null;
  const lines = view.rows.map((row, index) => `${index + 1}. ${describeRow(view.columns, row)}`);
  const reason = view.reason === "" ? [] : [`The assistant's reason: ${quote(view.reason, MAX_REASON_CHARACTERS)}`];
  const text = [`${summary}?`, ...lines, ...reason].join("\n");
  return text.length <= MAX_FORM_CHARACTERS ? text : null;
}

function describeRow(columns: readonly ShownColumn[], { before, after }: ShownRow): string {
  return columns
    .map(({ name, isSet }, index) => {
      const [old, current] = [before, after].map((values) => values && describeValue(values[index]));
      const isUpdate = typeof old === "string" && typeof current === "string" && isSet;
      return `${escapeInvisible(name)} ${isUpdate ? `${old} → ${current}` : (old ?? current ?? "")}`;
    })
    .join(" · ");
}

function describeValue(shown: ShownValue | undefined): string {
  if (shown === undefined || shown.kind !== "value") return `[${shown?.kind ?? "not visible"}]`;
  return typeof shown.value === "string" ? quote(shown.value, Infinity) : JSON.stringify(shown.value);
}

/** Quotes text of others, so that it cannot look like a line of the form. */
function quote(text: string, maxCharacters: number): string {
  return escapeInvisible(JSON.stringify(shortenText(text, maxCharacters)));
}

function describeOperation({ operation, undoes }: ChangeView): string {
  return undoes === null ? OPERATIONS[operation] : UNDOS[operation];
}

const OPERATIONS = { insert: "Insert", update: "Update", delete: "Delete" } as const;
const UNDOS = { insert: "Delete again", update: "Restore", delete: "Insert again" } as const;
