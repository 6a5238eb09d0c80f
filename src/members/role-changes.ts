// Propagates pending role changes to every ledger that caches them, and ends sessions, streams and subscriptions that are no longer
// allowed, also those of ended personal access tokens. Changes stay pending in GATEHOUSE_DB until they are propagated, so a crash loses
// none. Propagation can be repeated.
import type { PropagatedMember } from "../audit/role-cache-contract.ts";
import { getOwnerId } from "../lib/identity.ts";
import type { Identity } from "../lib/identity.ts";
import { settleAll } from "../lib/settle-all.ts";
import { resolveSubject } from "../policy/evaluate.ts";
import type { MemberRecord, Policy, Subject } from "../policy/model.ts";
import type { RegisteredSubject, MemberStore, PendingMember } from "./member-store.ts";

/** The holder of the streams and sessions of a user and their personal access tokens. */
interface SubscriptionHub {
  /** Notifies the subject's clients that their resource lists have changed. */
  listChanged(subjectId: string): Promise<void>;
  /** Ends subscriptions to resources that may no longer be read, and all subscriptions of the personal access tokens `grantIds`. */
  recheckSubscriptions(
    subjectId: string,
    mayRead: (uri: string) => boolean,
    grantIds: readonly string[],
  ): Promise<void>;
  /** Ends the sessions and streams of a grant or a personal access token. */
  revoke(subjectId: string, grantId: string): Promise<void>;
}

/** A personal access token that has ended, but whose sessions may still be open. */
interface EndedToken {
  readonly id: string;
  readonly ownerId: string;
}

/** The part of the store of personal access tokens that propagation needs. */
interface EndingTokens {
  list(
    ownerId: string,
  ): Promise<readonly { readonly id: string; readonly expiresMs: number; readonly revokedMs: number | null }[]>;
  listPendingEnds(nowMs: number, limit: number): Promise<readonly EndedToken[]>;
  markEndPropagated(id: string): Promise<void>;
}

/** What propagation needs. */
export interface RoleChangesDependencies {
  readonly policy: Policy;
  /** Returns a function that says whether the subject may read a URI now. */
  readonly mayRead: (subject: Subject) => (uri: string) => boolean;
  readonly members: MemberStore;
  readonly pats: EndingTokens;
  readonly openLedger: (subjectId: string) => {
    applyMember(member: PropagatedMember, changedBy: string): Promise<void>;
  };
  readonly listeners: SubscriptionHub;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Propagates role changes. */
export interface RoleChanges {
  /** Propagates all pending changes. Tries all of them, then throws the first error; a failed change stays pending. */
  propagate(): Promise<void>;
  /** Updates the clients of a user whose roles or attributes have changed. Call it after the user's ledger has the change. */
  refreshListeners(identity: Identity, record: MemberRecord): Promise<void>;
}

/** The number of changes that one round propagates. */
const ROUND_SIZE = 100;
/** The maximum of rounds in one call; the next call continues. */
const MAX_ROUNDS = 20;

/** Creates the propagation of role changes. */
export function createRoleChanges(dependencies: RoleChangesDependencies): RoleChanges {
  const { policy, mayRead, members, pats, openLedger, listeners, now } = dependencies;

  const refreshListeners: RoleChanges["refreshListeners"] = async (identity, record) => {
    const { email, groups } = identity;
    // The ledger may have found the change at a call of a personal access token. It concerns the owner and all of their tokens.
    const owner = resolveSubject(policy, { subjectId: getOwnerId(identity), email, groups }, record);
    const nowMs = now();
    const activePats = (await pats.list(owner.subjectId)).filter(
      ({ revokedMs, expiresMs }) => revokedMs === null && expiresMs > nowMs,
    );
    const patIds = activePats.map(({ id }) => id);
    await listeners.recheckSubscriptions(owner.subjectId, mayRead(owner), patIds);
    await listeners.listChanged(owner.subjectId);
  };

  async function propagateToSubject(
    member: PendingMember,
    { subjectId, email, groups }: RegisteredSubject,
  ): Promise<void> {
    const { changedBy, version, roles, attributes } = member;
    await openLedger(subjectId).applyMember({ email, version, roles, attributes }, changedBy);
    await refreshListeners({ subjectId, email, groups }, member);
  }

  async function propagateMember(member: PendingMember): Promise<void> {
    await settleAll(await members.listSubjects(member.email), async (subject) => propagateToSubject(member, subject));
    await members.markPropagated(member.email, member.version);
  }

  async function propagatePatEnd({ id, ownerId }: EndedToken): Promise<void> {
    await listeners.revoke(ownerId, id);
    await pats.markEndPropagated(id);
  }

  return {
    refreshListeners,
    async propagate() {
      for (let round = 0; round < MAX_ROUNDS; round += 1) {
        const [pendingMembers, endedPats] = await Promise.all([
          members.listPending(ROUND_SIZE),
          pats.listPendingEnds(now(), ROUND_SIZE),
        ]);
        await settleAll(
          [
            ...pendingMembers.map((member) => () => propagateMember(member)),
            ...endedPats.map((pat) => () => propagatePatEnd(pat)),
          ],
          (work) => work(),
        );
        if (pendingMembers.length < ROUND_SIZE && endedPats.length < ROUND_SIZE) return;
      }
    },
  };
}
