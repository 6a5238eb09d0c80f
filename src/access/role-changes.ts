// Makes changes of members and ends of access tokens act: tells every ledger that holds a copy, and ends what is not allowed any
// more. What is to be told stands in GATEHOUSE_DB until it was, so that a crash in between loses nothing; it can be repeated.
import type { ToldMember } from "../ledger/member-roles.ts";
import { ownerIdOf } from "../lib/identity.ts";
import type { Identity } from "../lib/identity.ts";
import { resolveSubject } from "../policy/evaluate.ts";
import type { MemberRecord, Policy, Subject } from "../policy/model.ts";
import type { KnownSubject, Members, UntoldMember } from "../storage/members.ts";

/** What holds streams and sessions of a person and their access tokens. */
export interface Listeners {
  /** The lists that the subject's clients hold are old. */
  listChanged(subjectId: string): Promise<void>;
  /** Ends subscriptions to what may not be read any more, and all of the access tokens `grantIds`. */
  recheck(subjectId: string, mayRead: (uri: string) => boolean, grantIds: readonly string[]): Promise<void>;
  /** Ends the sessions and streams of a sign-in or an access token. */
  revoke(subjectId: string, grantId: string): Promise<void>;
}

/** An access token that has ended, and whose sessions may not know. */
interface EndedToken {
  readonly id: string;
  readonly ownerId: string;
}

/** Access tokens, as far as a change of their owner concerns them. */
interface EndingTokens {
  list(
    ownerId: string,
  ): Promise<readonly { readonly id: string; readonly expiresMs: number; readonly revokedMs: number | null }[]>;
  untoldEnds(nowMs: number, limit: number): Promise<readonly EndedToken[]>;
  markEndTold(id: string): Promise<void>;
}

export interface RoleChangesDependencies {
  readonly policy: Policy;
  /** Whether a URI names something that the subject may read today. */
  readonly mayRead: (subject: Subject) => (uri: string) => boolean;
  readonly members: Members;
  readonly tokens: EndingTokens;
  readonly ledgerOf: (subjectId: string) => { takeMember(member: ToldMember, by: string): Promise<void> };
  readonly listeners: Listeners;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export interface RoleChanges {
  /** Tells all that has not been told. Throws after everything was tried, when something could not be: it stays to be told. */
  tell(): Promise<void>;
  /** Somebody's roles or attributes are others than before, and their ledger knows. */
  changed(identity: Identity, record: MemberRecord): Promise<void>;
}

/** Changes that one round tells. */
const ROUND = 100;
/** Rounds of one call at most; the next goes on. */
const MAX_ROUNDS = 20;

export function createRoleChanges(dependencies: RoleChangesDependencies): RoleChanges {
  const { policy, mayRead, members, tokens, ledgerOf, listeners, now } = dependencies;

  const changed: RoleChanges["changed"] = async (identity, record) => {
    const { email, groups } = identity;
    // A token's call may have found the change: it is its owner's, and concerns all that is theirs.
    const owner = resolveSubject(policy, { subjectId: ownerIdOf(identity), email, groups }, record);
    const nowMs = now();
    const usable = (await tokens.list(owner.subjectId)).filter(
      ({ revokedMs, expiresMs }) => revokedMs === null && expiresMs > nowMs,
    );
    const tokenIds = usable.map(({ id }) => id);
    await listeners.recheck(owner.subjectId, mayRead(owner), tokenIds);
    await listeners.listChanged(owner.subjectId);
  };

  async function tellSubject(member: UntoldMember, { subjectId, email, groups }: KnownSubject): Promise<void> {
    const { changedBy, version, roles, attributes } = member;
    await ledgerOf(subjectId).takeMember({ email, version, roles, attributes }, changedBy);
    await changed({ subjectId, email, groups }, member);
  }

  async function tellMember(member: UntoldMember): Promise<void> {
    await all(await members.subjectsOf(member.email), async (subject) => tellSubject(member, subject));
    await members.markTold(member.email, member.version);
  }

  async function endToken({ id, ownerId }: EndedToken): Promise<void> {
    await listeners.revoke(ownerId, id);
    await tokens.markEndTold(id);
  }

  return {
    changed,
    async tell() {
      for (let round = 0; round < MAX_ROUNDS; round += 1) {
        const [untold, ended] = await Promise.all([members.untold(ROUND), tokens.untoldEnds(now(), ROUND)]);
        await all(
          [...untold.map((member) => () => tellMember(member)), ...ended.map((token) => () => endToken(token))],
          (work) => work(),
        );
        if (untold.length < ROUND && ended.length < ROUND) return;
      }
    },
  };
}

/** Tries all, then throws the first fault. */
async function all<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const done = await Promise.allSettled(items.map(work));
  const failed = done.find((one) => one.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
