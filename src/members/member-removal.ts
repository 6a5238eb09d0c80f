// Ends what removed members have in Durable Objects: connections with their sessions and streams, sessions of personal access tokens,
// running calls, questions and results. Removals stay pending in GATEHOUSE_DB until all of it has ended, so a crash loses none; each step
// can be repeated. The order lets nothing through: first no call can begin, then no running call can commit, then results are deleted.
import type { RemovalLedger } from "../audit/audit-record.ts";
import { settleAll } from "../lib/settle-all.ts";
import type { MemberStore } from "./member-store.ts";
import { describeHeld } from "./held-access.ts";
import type { HeldObjects, RemovalStore, StoredRemoval } from "./removal-store.ts";

/** A connection of a user. */
interface Connection {
  readonly id: string;
  readonly clientName: string;
}

/** What the removal of a member reaches. */
interface MemberRemovalDependencies {
  readonly removals: RemovalStore;
  readonly members: Pick<MemberStore, "listSubjects">;
  /** Lists the personal access tokens of a user, ended ones included. */
  readonly pats: { list(ownerId: string): Promise<readonly { readonly id: string }[]> };
  readonly connections: {
    list(subjectId: string): Promise<readonly Connection[]>;
    endAll(subjectId: string): Promise<void>;
  };
  readonly sessions: {
    countOpenSessions(subjectId: string): Promise<number>;
    /** Ends the sessions and streams of a connection or a personal access token. */
    revoke(subjectId: string, grantId: string): Promise<void>;
  };
  readonly openLedger: (subjectId: string) => RemovalLedger;
  readonly openWorkspace: (subjectId: string) => {
    countResults(): Promise<number>;
    clear(lastNumber: number): Promise<void>;
  };
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Carries out removals of members. */
export interface MemberRemovals {
  /** Carries out all pending removals. Tries all of them, then throws the first error; a failed removal stays pending. */
  carryOut(): Promise<void>;
}

/** The number of removals in one call; the next call continues. */
const BATCH_SIZE = 100;

/** Creates the removal of members. */
export function createMemberRemovals(dependencies: MemberRemovalDependencies): MemberRemovals {
  const { removals, members, now } = dependencies;

  async function carryOut(removal: StoredRemoval): Promise<void> {
    // A user may have got a ledger since the removal was stored.
    const registered = await members.listSubjects(removal.email);
    const subjectIds = [...new Set([...removal.subjectIds, ...registered.map(({ subjectId }) => subjectId)])];
    const objects = removal.objects ?? (await inspectAll(subjectIds, removal.id));
    if (removal.objects === undefined) await removals.storeObjects(removal.id, objects);
    if (removal.kind === "removal")
      await settleAll(subjectIds, async (subjectId) => endSubject(dependencies, { ...removal, objects }, subjectId));
    await removals.markDone(removal, subjectIds, now());
  }

  async function inspectAll(subjectIds: readonly string[], call: string): Promise<HeldObjects> {
    return sumObjects(await Promise.all(subjectIds.map(async (id) => inspect(dependencies, id, call))));
  }

  return { carryOut: async () => settleAll(await removals.listPending(BATCH_SIZE), carryOut) };
}

/** Finds what a subject has, and ends nothing. The call of an administrator who removes themselves does not count. */
async function inspect(
  { connections, sessions, openLedger, openWorkspace }: MemberRemovalDependencies,
  subjectId: string,
  call: string,
): Promise<HeldObjects> {
  const [held, sessionCount, work] = await Promise.all([
    connections.list(subjectId),
    sessions.countOpenSessions(subjectId),
    openLedger(subjectId).inspectWork(call),
  ]);
  const workspaceIds = new Set([subjectId, ...work.subjectIds]);
  const results = await Promise.all([...workspaceIds].map(async (id) => openWorkspace(id).countResults()));
  return {
    connections: held.map(({ id, clientName }) => ({ subjectId, id, clientName })),
    sessions: sessionCount,
    results: results.reduce((sum, count) => sum + count, 0),
    calls: work.calls,
    questions: work.questions,
  };
}

/** Ends everything that a subject has. */
async function endSubject(
  { pats, connections, sessions, openLedger, openWorkspace }: MemberRemovalDependencies,
  removal: StoredRemoval & { readonly objects: HeldObjects },
  subjectId: string,
): Promise<void> {
  const { id, by, email, objects } = removal;
  const patIds = (await pats.list(subjectId)).map((pat) => pat.id);
  await connections.endAll(subjectId);
  const lastNumbers = await openLedger(subjectId).endWork(id, patIds);
  const connectionIds = objects.connections.filter((held) => held.subjectId === subjectId).map((held) => held.id);
  const activePatIds = removal.pats.map((pat) => pat.id).filter((patId) => patIds.includes(patId));
  await settleAll([...connectionIds, ...activePatIds], async (grantId) => sessions.revoke(subjectId, grantId));
  // An earlier version numbered results in the workspace, so the ledger may not know the user's own.
  const workspaces = [{ subjectId, last: 0 }, ...lastNumbers];
  await settleAll(workspaces, async (workspace) => openWorkspace(workspace.subjectId).clear(workspace.last));
  await openLedger(subjectId).recordRemoval({
    call: `member removed ${id}`,
    subjectId,
    owner: null,
    clientId: "",
    operation: "member removed",
    asked: JSON.stringify({ by, email, ended: describeHeld(removal) }),
  });
}

function sumObjects(held: readonly HeldObjects[]): HeldObjects {
  const sum = (count: (objects: HeldObjects) => number): number => held.reduce((total, one) => total + count(one), 0);
  return {
    connections: held.flatMap(({ connections }) => connections),
    sessions: sum(({ sessions }) => sessions),
    results: sum(({ results }) => results),
    calls: sum(({ calls }) => calls),
    questions: sum(({ questions }) => questions),
  };
}
