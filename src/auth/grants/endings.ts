// What follows when a grant or a token of a shard is over: tokens go with their grant, what is remembered of them, and what
// other objects are owed. Callers hold the transaction.
import type { Duties } from "./duties.ts";
import type { Entries } from "./entries.ts";
import { isInUse, ownedOf, parseGrant, parseTokenClient, tokenPrefix } from "./grant-record.ts";
import { endingNote, refusalNote } from "./notes.ts";
import type { Ending, Refusal } from "./notes.ts";
import type { PastTokens } from "./past.ts";

export interface EndingParts {
  readonly entries: Entries;
  readonly past: PastTokens;
  readonly duties: Duties;
  readonly newId: () => string;
  readonly userId: string | undefined;
}

export interface Endings {
  /** False when there was nothing. */
  remove(key: string, ending: Ending, nowMs: number): boolean;
  /** An entry whose time is up. */
  expire(key: string, value: string, nowMs: number): void;
  /** Owes a record of an access token that was refused, if it was once given out and none was owed for it. */
  refuse(user: string, grantId: string, hash: string, nowMs: number): void;
}

export function createEndings({ entries, past, duties, newId, userId }: EndingParts): Endings {
  const bury = (key: string, value: string, refusal: Refusal, nowMs: number): void => {
    const owned = ownedOf(key);
    if (owned?.tokenHash === undefined) return;
    past.bury(owned.tokenHash, { grantId: owned.grantId, clientId: parseTokenClient(value), refusal }, nowMs);
  };

  const overGrant = (subjectId: string, grantId: string, value: string, ending: Ending, nowMs: number): void => {
    for (const token of entries.under(tokenPrefix(subjectId, grantId), nowMs)) {
      entries.remove(token.key, nowMs);
      bury(token.key, token.value, "revoked", nowMs);
    }
    past.forgetSpent(grantId);
    const record = parseGrant(value);
    if (!isInUse(record)) return;
    duties.owe({ kind: "end", subjectId, grantId }, nowMs);
    const note = endingNote(newId(), { subjectId, clientId: record.clientId, grantId }, ending, nowMs);
    duties.owe({ kind: "note", note }, nowMs);
  };

  const over = (key: string, value: string, ending: Ending, nowMs: number): void => {
    const owned = ownedOf(key);
    if (owned === undefined || userId === undefined) return;
    if (owned.tokenHash === undefined) overGrant(userId, owned.grantId, value, ending, nowMs);
    else bury(key, value, ending === "expired" ? "expired" : "revoked", nowMs);
  };

  return {
    remove(key: string, ending: Ending, nowMs: number): boolean {
      const value = entries.remove(key, nowMs);
      if (value !== undefined) over(key, value, ending, nowMs);
      return value !== undefined;
    },
    expire(key: string, value: string, nowMs: number): void {
      entries.sweep(key, nowMs);
      over(key, value, "expired", nowMs);
    },
    refuse(user: string, grantId: string, hash: string, nowMs: number): void {
      const found = past.takeFirst(hash) ?? refusedNow(user, grantId, hash, nowMs);
      if (found === undefined) return;
      const subject = { subjectId: user, clientId: found.clientId, grantId: found.grantId };
      duties.owe({ kind: "note", note: refusalNote(newId(), subject, found.refusal, nowMs) }, nowMs);
    },
  };

  /** A token that is here all the same: expired since the last sweep, or good for another resource. */
  function refusedNow(user: string, grantId: string, hash: string, nowMs: number) {
    const key = `${tokenPrefix(user, grantId)}${hash}`;
    const stored = entries.stored(key);
    if (stored === undefined) return undefined;
    const isExpired = stored.expiresMs !== null && stored.expiresMs <= nowMs;
    const refusal: Refusal = isExpired ? "expired" : "elsewhere";
    const token = { grantId, clientId: parseTokenClient(stored.value), refusal };
    return past.markRefused(hash, token, nowMs) ? token : undefined;
  }
}
