// What the requester's own client may ask after a proposal: to open the page of the change, or, where the rule names the client, to decide
// in a form. A form has every row before and after; a change that plain text cannot show is left to the page.
import type { ChangeView, ShownColumn, ShownRow, ShownValue } from "../changes/change-view.ts";
import { acceptsFormFrom } from "../changes/stored-change.ts";
import { isChangedCell } from "../changes/shown-changes.ts";
import type { StoredChange } from "../changes/stored-change.ts";
import { shortenText } from "../lib/text-cut.ts";
import { escapeInvisible } from "../lib/visible-text.ts";
import { askForEffect, formatUnshown } from "./change-note.ts";

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
  change: Pick<StoredChange, "id" | "approval" | "requester" | "clientId" | "formClients" | "proof">,
  view: ChangeView,
  { url, clientId }: { readonly url: string; readonly clientId: string },
): ChangeQuestion | null {
  // A program with a personal access token has no person in front of it.
  const isAsked = change.approval === "requester" && change.requester.token === undefined;
  if (!isAsked || !view.mayDecide.isAllowed) return null;
  const summary = `${askForEffect(view)} of ${view.dataset}`;
  const form = acceptsFormFrom(change, clientId) ? buildForm(view, summary) : null;
  return { change: change.id, proof: change.proof, url, summary, form };
}

function buildForm(view: ChangeView, summary: string): string | null {
  if (view.rows.length < view.rowCount) return null;
  const rows = view.rows.map((row) => describeRow(view.columns, row));
  if (!rows.every((row) => row !== null)) return null;
  const untrusted = view.columns.filter(({ isUntrusted }) => isUntrusted).map(({ name }) => name);
  const lines = [
    `${summary}?`,
    ...rows.map((row, index) => `${index + 1}. ${row}`),
    ...(untrusted.length === 0 ? [] : [`People outside the organisation may write ${untrusted.join(" and ")}.`]),
    ...(view.reason === ""
      ? []
      : [
          `The assistant gives this reason, so decide by the rows: ${quote(shortenText(view.reason, MAX_REASON_CHARACTERS))}`,
        ]),
    `Change ${view.id}`,
  ];
  const text = lines.join("\n");
  return text.length <= MAX_FORM_CHARACTERS && isPlain(text) ? text : null;
}

/** Describes a row; null when what changes looks the same before and after. */
function describeRow(columns: readonly ShownColumn[], { before, after }: ShownRow): string | null {
  const cells = columns.map((column, index) => {
    const [from, to] = [before?.[index], after?.[index]];
    if (before === null || after === null) return `${column.name} ${describeValue(from ?? to)}`;
    if (!isChangedCell(column, from, to)) return `${column.name} ${column.isSet ? "stays " : ""}${describeValue(from)}`;
    const [old, current] = [describeValue(from), describeValue(to)];
    // Words between the values keep their order where one of them is written from right to left.
    return foldLook(old) === foldLook(current) ? null : `${column.name} from ${old} to ${current}`;
  });
  return cells.includes(null) ? null : cells.join(" · ");
}

function describeValue(shown: ShownValue | undefined): string {
  if (shown === undefined || shown.kind !== "value") return formatUnshown(shown?.kind ?? "not visible");
  return typeof shown.value === "string" ? quote(shown.value) : JSON.stringify(shown.value);
}

/** Quotes text of others, so that it cannot look like a line of the form. */
function quote(text: string): string {
  return JSON.stringify(text);
}

/** Equal for texts that look the same. */
function foldLook(text: string): string {
  return text.normalize("NFKC").replaceAll(/\s+/g, " ");
}

/** Stacks of marks, blanks other than the space, and what clients may take for a link, an image or markup. */
const NOT_PLAIN = /\p{M}{4}|[^\S \n]|\u2800|\]\(|<[a-z/!]|[a-z]:\/\/|\bwww\./iu;

/** Whether every client shows a text as it is. Any other is left to the page. */
function isPlain(text: string): boolean {
  return !NOT_PLAIN.test(text) && text.split("\n").every((line) => escapeInvisible(line) === line);
}
