// Runs one scenario of an approval: a proposal in one protocol era, what happens to it, and what is left in the database and the ledgers.
import { env } from "cloudflare:workers";
import type { Identity } from "../../src/lib/identity.ts";
import { AppError } from "../../src/errors.ts";
import type { ChangeOptions } from "../../src/changes/change-object.ts";
import { createPauseChanges } from "../../src/members/pause-changes.ts";
import { openPauseStore } from "../../src/members/pause-store.ts";
import { startDeployment } from "./change-deployment.ts";
import type { ChangeDeployment } from "./change-deployment.ts";
import { COLUMN_OF, buildStockPolicy, listRecords, personOf, readCell } from "./change-stock.ts";
import type { StockApproval } from "./change-stock.ts";
import { buildPost, buildPost2026 } from "./mcp-requests.ts";
import { ledgerOf } from "./members.ts";
import { readJson } from "./oauth.ts";
import { initialize } from "./worker.ts";

export const ERAS = ["2025 session", "2026 request"] as const;
export type Era = (typeof ERAS)[number];

/** The value that every scenario sets. */
const NEW_VALUE = "4711";

const hooks: { beforeApply: () => Promise<void> } = { beforeApply: async () => {} };
const withHook = (options: ChangeOptions): ChangeOptions => ({
  ...options,
  async authorize(change) {
    await hooks.beforeApply();
    return options.authorize(change);
  },
});

/** The deployment of all scenarios. */
export const deployment = startDeployment(buildStockPolicy(), withHook);

/** Runs work between the approval of a change and its apply. */
export function beforeApply(work: () => Promise<void>): void {
  hooks.beforeApply = async () => {
    hooks.beforeApply = async () => {};
    await work();
  };
}

/** Resets the row of the scenarios. */
export async function resetRow(): Promise<void> {
  hooks.beforeApply = async () => {};
  await env.EXAMPLE_DB.prepare(
    "UPDATE stock SET region = 'north', state = 'open', amount = 1, note = 'n', code = 'c' WHERE id = 1",
  ).run();
}

const sessions = new Map<string, string>();

/** Calls a tool in an era, and returns its structured content. */
export async function callTool(
  { send }: Pick<ChangeDeployment, "send">,
  era: Era,
  token: string,
  [name, args]: readonly [string, Record<string, unknown>],
): Promise<Record<string, unknown>> {
  const params = { name, arguments: args };
  if (era === "2026 request") return readContent(await send(buildPost2026(token, "tools/call", params)));
  let session = sessions.get(token);
  if (session === undefined) {
    session = (await send(buildPost(token, initialize()))).headers.get("mcp-session-id") ?? "";
    sessions.set(token, session);
  }
  const headers = { "mcp-session-id": session, "mcp-protocol-version": "2025-11-25" };
  return readContent(
    await send(buildPost(token, { jsonrpc: "2.0", id: crypto.randomUUID(), method: "tools/call", params }, headers)),
  );
}

async function readContent(response: Response): Promise<Record<string, unknown>> {
  const { result } = await readJson(response);
  return { ...(result as { structuredContent: Record<string, unknown> }).structuredContent };
}

/** A proposal under test. */
export interface Scene {
  readonly approval: StockApproval;
  readonly id: string;
  readonly token: string;
  readonly era: Era;
  /** Who has to approve it. */
  readonly approver: Identity;
  readonly requester: Identity;
}

/** Builds the arguments of the proposal. */
export function buildProposal(
  approval: StockApproval,
  value: unknown = approval === "reviewer" ? Number(NEW_VALUE) : NEW_VALUE,
) {
  return {
    dataset: "shop.stock",
    action: "update",
    where: { id: 1 },
    values: { [COLUMN_OF[approval]]: value },
    reason: "It is right.",
    key: crypto.randomUUID(),
  };
}

/** Proposes the change. `id` is empty when it is refused. */
export async function proposeScene(
  era: Era,
  approval: StockApproval,
  token: string,
): Promise<Scene & { readonly answer: Record<string, unknown> }> {
  const requester = await personOf("support");
  const answer = await callTool(deployment, era, token, ["change", buildProposal(approval)]);
  const approver = approval === "reviewer" ? await personOf("reviewer") : requester;
  return {
    approval,
    id: typeof answer["change"] === "string" ? answer["change"] : "",
    token,
    era,
    approver,
    requester,
    answer,
  };
}

/** Decides as a person does on the page, and returns the state afterwards or the code of the error. */
export async function decide(
  { id }: Pick<Scene, "id">,
  by: Identity,
  { approves = true, proof, at = deployment }: { approves?: boolean; proof?: string; at?: ChangeDeployment } = {},
): Promise<string> {
  try {
    const shown = proof ?? (await at.openChange(id).read())?.proof ?? "";
    return await at.review.decide(by, id, { approves, proof: shown });
  } catch (error) {
    if (error instanceof AppError) return error.code;
    throw error;
  }
}

/** What a scenario leaves. */
export interface Remains {
  readonly state: string;
  readonly isChanged: boolean;
  /** The apply in the requester's ledger, as `result code approver`. */
  readonly applies: readonly string[];
  /** The decisions in the ledgers of the people, as `who operation result code`. */
  readonly decisions: readonly string[];
}

/** Reads what is left. The approver is named by their account. */
export async function readRemains({ id, approval, requester }: Scene): Promise<Remains> {
  const names = new Map<string, string>();
  for (const name of ["support", "reviewer", "owner", "analyst"]) names.set((await personOf(name)).subjectId, name);
  const change = await deployment.openChange(id).read();
  const applies = (await listRecords(requester.subjectId, id)).filter(({ attempt }) =>
    attempt.operation.startsWith("apply"),
  );
  const decisions = [];
  for (const [subjectId, name] of names)
    for (const { attempt, outcome } of await listRecords(subjectId, id))
      if (/^(?:approve|deny) change$/.test(attempt.operation))
        decisions.push([name, attempt.operation, outcome.result, outcome.code ?? ""].join(" ").trim());
  return {
    state: change?.state ?? "none",
    isChanged: (await readCell(1, COLUMN_OF[approval])) === NEW_VALUE,
    applies: applies.map(({ outcome: { result, code, approver } }) => {
      const by = approver === undefined ? "" : (names.get(approver) ?? approver);
      return [result, code ?? "", by].filter((part) => part !== "").join(" ");
    }),
    decisions: decisions.toSorted(),
  };
}

const pauses = openPauseStore(env.GATEHOUSE_DB);
const paused: ["user" | "source", string][] = [];

/** Ends every pause. */
export async function endPauses(): Promise<void> {
  for (const [kind, target] of paused.splice(0)) await setPause(kind, target, false);
}

/** Pauses a user or source, or ends the pause. */
export async function setPause(kind: "user" | "source", target: string, isPaused: boolean): Promise<void> {
  await pauses.apply({
    subjectIds: [],
    reason: "",
    untilMs: null,
    by: "operator",
    nowMs: Date.now(),
    kind,
    target,
    isPaused,
  });
  if (isPaused) paused.push([kind, target]);
  await createPauseChanges({ pauses, openLedger: ledgerOf, onPropagated: () => {}, onError: () => {} }).propagate();
}
