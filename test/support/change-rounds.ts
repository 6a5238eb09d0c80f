// Takes a change through its life without HTTP, restarts its object after faults, and checks what is left: it was applied whole and is
// recorded, or not at all, and its state says which.
import { env } from "cloudflare:workers";
import { expect, vi } from "vitest";
import type { Gatehouse } from "../../src/config/define-gatehouse.ts";
import { resolveSubject } from "../../src/policy/evaluate.ts";
import type { ChangeOperation } from "../../src/policy/change-model.ts";
import type { ChangeDeployment } from "./change-deployment.ts";
import { listRecords, personOf, readStock } from "./change-stock.ts";

/** A change as a test asks for it. */
export interface RoundInput {
  readonly operation: ChangeOperation;
  readonly where?: Readonly<Record<string, unknown>>;
  readonly values?: Readonly<Record<string, unknown>>;
  readonly key?: string;
}

/** Proposes as the support account, and returns the id. */
export async function propose(
  { changes }: Pick<ChangeDeployment, "changes">,
  { policy }: Gatehouse,
  input: RoundInput,
): Promise<string> {
  const { operation, where = {}, values = {}, key } = input;
  const context = await buildContext(policy);
  const { change } = await changes.proposals.propose(context, {
    dataset: "shop.stock",
    operation,
    where,
    values,
    reason: "r",
    key,
  });
  return change.id;
}

/** Proposes an undo as the support account. */
export async function proposeUndo({ changes }: ChangeDeployment, { policy }: Gatehouse, id: string): Promise<string> {
  const { change } = await changes.proposals.proposeUndo(await buildContext(policy), { change: id, reason: "r" });
  return change.id;
}

async function buildContext(policy: Gatehouse["policy"]) {
  const identity = await personOf("support");
  const subject = resolveSubject(policy, identity, { roles: ["support"], attributes: {} });
  return { identity, clientId: "c", call: { subject, untrustedMs: null, pausedSources: new Map() } };
}

/** The rows as text, as they are and as they become. */
interface RehearsedRows {
  readonly before: string;
  readonly after: string;
}

/**
 * Creates a function that reads the rows as they are after a change, which a twin of it made that was taken back again. A change is
 * rehearsed once, so the rows before it must always be the same.
 */
export function createRehearsal(
  deployment: ChangeDeployment,
  config: Gatehouse,
): (input: RoundInput) => Promise<RehearsedRows> {
  const rehearsed = new Map<string, RehearsedRows>();
  return async (input) => {
    const known = rehearsed.get(JSON.stringify(input));
    if (known !== undefined) return known;
    const before = await readStock();
    const id = await propose(deployment, config, input);
    await approve(deployment, id);
    const after = await readStock();
    expect(after).not.toBe(before);
    await approve(deployment, await proposeUndo(deployment, config, id));
    expect(await readStock()).toBe(before);
    rehearsed.set(JSON.stringify(input), { before, after });
    return { before, after };
  };
}

/** Approves in the object itself, as the review does after its checks. */
export async function approve({ openChange }: ChangeDeployment, id: string, name = "support"): Promise<unknown> {
  const proof = (await openChange(id).read())?.proof ?? "";
  return openChange(id).decide({ approves: true, proof, by: await personOf(name), formClient: null });
}

type Run = (work: () => Promise<unknown>) => Promise<unknown>;

/**
 * Restarts the object and rings its alarm until it has nothing more to do. `run` ends when the process of the object does, so that faults
 * may go on meanwhile.
 */
export async function recover(
  deployment: ChangeDeployment,
  id: string,
  run: Run = async (work) => work(),
): Promise<void> {
  const startMs = Date.now();
  for (let waitMs = 3000; waitMs < 200_000; waitMs *= 2) {
    vi.setSystemTime(startMs + waitMs);
    deployment.restart(id);
    let isOver = false;
    await run(async () => {
      await deployment.ring(id);
      const change = await deployment.openChange(id).read();
      const goesOn = change !== null && ["approved", "applying", "outcome_unknown"].includes(change.state);
      isOver = !goesOn && (change?.pendingRecord ?? null) === null;
    });
    if (isOver) break;
  }
  vi.useRealTimers();
}

/** Expects that a change is whole in its state, the journal, the rows and the audit records, and returns its state. */
export async function expectWhole(
  { openChange }: ChangeDeployment,
  id: string,
  { before, after }: { readonly before: string; readonly after: string },
): Promise<string> {
  const change = await openChange(id).read();
  const { subjectId } = await personOf("support");
  const records = (await listRecords(subjectId, id)).filter(({ attempt }) => attempt.operation.startsWith("apply"));
  const answered = records.filter(({ outcome }) => outcome.result === "answered" && outcome.approver !== undefined);
  const outcome = await env.EXAMPLE_DB.prepare("SELECT outcome FROM _gatehouse_journal WHERE change_id = ?")
    .bind(id)
    .first("outcome");
  const isApplied = change?.state === "applied";
  expect({ isJournaled: outcome === "applied", recorded: answered.length, stock: await readStock() }).toEqual({
    isJournaled: isApplied,
    recorded: isApplied ? 1 : 0,
    stock: isApplied ? after : before,
  });
  return change?.state ?? "none";
}
