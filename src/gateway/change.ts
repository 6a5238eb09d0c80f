// The operations on changes: propose, show, and decide as the requester has answered in a form of their client.
import type { Audited } from "../audit/audit.ts";
import type { FetchAnswer } from "../answers/fetch-answer.ts";
import { UNTRUSTED_NOTE, fence } from "../answers/untrusted-text.ts";
import { decideChange, nameDecision } from "../changes/change-decision.ts";
import type { ChangeRpc } from "../changes/change-rpc.ts";
import type { AcceptedProposal, ChangeProposals, ProposalContext, ProposalInput } from "../changes/change-proposals.ts";
import type { ChangeView, Decision, ShownColumn, ShownValue } from "../changes/change-view.ts";
import type { ChangeState } from "../changes/change-states.ts";
import type { ChangeViewer } from "../changes/change-viewer.ts";
import { findChange, requireChange } from "../changes/find-change.ts";
import { isChangeId } from "../changes/stored-change.ts";
import type { Subject } from "../policy/model.ts";
import type { JsonCell } from "../sql/result-encoding.ts";
import { describeDecided, describeEffect, describeNext, formatUnshown } from "./change-note.ts";
import { buildChangeQuestion } from "./change-question.ts";
import type { ChangeQuestion } from "./change-question.ts";

/** What the operations need. */
export interface ChangeServices {
  readonly proposals: ChangeProposals;
  readonly viewer: ChangeViewer;
  readonly openChange: (id: string) => ChangeRpc;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Says which datasets a change was applied to since a time, as `dataset: time`. */
  readonly listChanged: (datasets: readonly string[], sinceMs: number) => Promise<readonly string[]>;
  /** The origin of this server's pages. */
  readonly origin: string;
}

/** A row of a preview: its columns, each with its value before and after. Only columns that matter are there. */
type PreviewRow = Readonly<Record<string, JsonCell | { readonly from: JsonCell; readonly to: JsonCell }>>;

/** The answer of `change` and `undo`. */
export interface ChangeAnswer {
  readonly change: string;
  readonly state: ChangeState;
  readonly rows: number;
  /** The page on which a person decides. */
  readonly url: string;
  /** What the change does, and what comes next. */
  readonly note: string;
  /** The first rows. Absent when a form has just shown them. */
  readonly preview?: readonly PreviewRow[];
  /** When it expires if no one decides. Absent once it was decided. */
  readonly expires?: string;
  /** Says that the preview has text of outsiders. */
  readonly untrusted?: string;
}

/** The rows of a preview for an assistant. The page has more. */
const PREVIEW_ROWS = 10;

/** A proposal as its client gets it. */
export interface ProposedAnswer {
  readonly answer: ChangeAnswer;
  /** What the client may ask the person; null when no question helps. */
  readonly question: ChangeQuestion | null;
}

/** Proposes a change. Errors: those of `ChangeProposals.propose`. */
export async function proposeChange(
  services: ChangeServices,
  context: ProposalContext,
  input: ProposalInput,
): Promise<Audited<ProposedAnswer>> {
  return answerProposal(services, context, await services.proposals.propose(context, input));
}

/** Proposes to take an applied change back. Errors: those of `ChangeProposals.proposeUndo`. */
export async function proposeUndo(
  services: ChangeServices,
  context: ProposalContext,
  input: { readonly change: string; readonly reason: string },
): Promise<Audited<ProposedAnswer>> {
  const change = parseChangeName(input.change) ?? input.change;
  return answerProposal(services, context, await services.proposals.proposeUndo(context, { ...input, change }));
}

/** Parses a change's id, as `change` returns it or in its URI. */
export function parseChangeName(name: string): string | undefined {
  const id = name.startsWith(CHANGE_URI) ? name.slice(CHANGE_URI.length) : name;
  return isChangeId(id) ? id : undefined;
}

const CHANGE_URI = "gatehouse://change/";

/** Builds the URI of a change. */
export function changeUri(id: string): string {
  return `${CHANGE_URI}${id}`;
}

/** Whether a subject may see a change; undefined is no id of one. */
export async function maySeeChange(
  { openChange }: Pick<ChangeServices, "openChange">,
  subject: Subject,
  id: string | undefined,
): Promise<boolean> {
  return id !== undefined && (await findChange(openChange, subject, id)) !== undefined;
}

/** Fetches a change by its id. Errors: `not_found`. */
export async function fetchChange(
  services: ChangeServices,
  subject: Subject,
  id: string,
): Promise<Audited<FetchAnswer>> {
  const audited = await viewChange(services, subject, id);
  const { answer } = audited;
  return {
    ...audited,
    answer: {
      id: changeUri(id),
      title: `Change ${id}: ${answer.state}`,
      text: JSON.stringify(answer, null, 1),
      url: answer.url,
      metadata: { kind: "change", state: answer.state },
    },
  };
}

async function answerProposal(
  { viewer, origin }: ChangeServices,
  { clientId, call: { subject } }: ProposalContext,
  { change, isRepeated, identicalAppliedMs }: AcceptedProposal,
): Promise<Audited<ProposedAnswer>> {
  const audited = await viewer.view(change, subject, PREVIEW_ROWS);
  const proposedAt = new Date(change.proposedMs).toISOString();
  const earlier = isRepeated
    ? ` Nothing new was proposed: this is the change of ${proposedAt}, with the same key or the same content.`
    : "";
  const repeated =
    identicalAppliedMs === null
      ? ""
      : ` The same change was applied on ${new Date(identicalAppliedMs).toISOString()}: check that it is meant twice.`;
  const answer = buildAnswer(origin, audited.answer, `${earlier}${repeated}`);
  const question = buildChangeQuestion(change, audited.answer, { url: answer.url, clientId });
  return { ...audited, answer: { answer, question } };
}

/**
 * Decides as the requester has answered in a form of their client. The answer has no rows, because the form has shown them. Errors: those
 * of `decideChange`.
 */
export async function decideInForm(
  services: ChangeServices,
  { clientId, call }: ProposalContext,
  { id, approves, proof }: Decision & { readonly id: string },
): Promise<Audited<ChangeAnswer>> {
  const change = await decideChange(services, call, { id, approves, proof, formClient: clientId });
  const { state, rowCount, terms } = change;
  const answer = {
    change: id,
    state,
    rows: rowCount,
    url: buildUrl(services.origin, id),
    note: `${describeEffect({ ...terms, rowCount })}. ${describeDecided(change)}`,
  };
  return { answer, ...nameDecision(change, approves) };
}

/** Returns a change as it is. Errors: `not_found`. */
export async function viewChange(
  { openChange, viewer, origin }: ChangeServices,
  subject: Subject,
  id: string,
): Promise<Audited<ChangeAnswer>> {
  const audited = await viewer.view(await requireChange(openChange, subject, id), subject, PREVIEW_ROWS);
  return { ...audited, answer: buildAnswer(origin, audited.answer, "") };
}

function buildUrl(origin: string, id: string): string {
  return `${origin}/changes/${id}`;
}

/** Builds the answer. `remark` ends its note. */
function buildAnswer(origin: string, view: ChangeView, remark: string): ChangeAnswer {
  const hasUntrusted = view.columns.some(({ isUntrusted }) => isUntrusted) && view.rows.length > 0;
  return {
    change: view.id,
    state: view.state,
    rows: view.rowCount,
    url: buildUrl(origin, view.id),
    note: `${describeEffect(view)}. ${describeNext(view)}${remark}`,
    preview: view.rows.slice(0, PREVIEW_ROWS).map(({ before, after }) => buildPreviewRow(view.columns, before, after)),
    ...(view.state === "proposed" ? { expires: new Date(view.expiresMs).toISOString() } : {}),
    ...(hasUntrusted ? { untrusted: UNTRUSTED_NOTE } : {}),
  };
}

/** Shows columns that change as `{from, to}`, and the others once, so that the rows can be recognised. */
function buildPreviewRow(
  columns: readonly ShownColumn[],
  before: readonly ShownValue[] | null,
  after: readonly ShownValue[] | null,
): PreviewRow {
  const entries = columns.map(({ name, isUntrusted, isSet }, index) => {
    const show = (values: readonly ShownValue[] | null): JsonCell => {
      const shown = values?.[index];
      if (shown === undefined) return null;
      if (shown.kind !== "value") return formatUnshown(shown.kind);
      return isUntrusted && typeof shown.value === "string" ? fence(shown.value) : shown.value;
    };
    if (before === null) return [name, show(after)] as const;
    return [name, after !== null && isSet ? { from: show(before), to: show(after) } : show(before)] as const;
  });
  return Object.fromEntries(entries);
}
