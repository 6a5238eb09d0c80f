// The consequences of the end of a grant or an access token: a grant takes its access tokens with it, ended access tokens are stored,
// and messages to other objects go to the outbox. Does not open a transaction; its callers do.
import type { Outbox } from "./outbox.ts";
import type { Entries } from "./grant-entries.ts";
import {
  buildGrantKey,
  isCodeExchanged,
  parseEntryKey,
  parseGrant,
  parseTokenClient,
  buildTokenPrefix,
} from "./grant-record.ts";
import { createEndEvent, createRefusalEvent } from "./audit-events.ts";
import type { GrantEndReason, TokenRefusalReason } from "./audit-events.ts";
import type { RevokedTokens } from "./revoked-tokens.ts";

/** The dependencies of `createRevocation`. */
interface RevocationDependencies {
  readonly entries: Entries;
  readonly revokedTokens: RevokedTokens;
  readonly outbox: Outbox;
  readonly newId: () => string;
  /** The user whose shard this is; undefined for other shards. */
  readonly userId: string | undefined;
}

/** Ends entries of one shard. */
export interface Revocation {
  /** Removes an entry; false when there was none. A removed grant ends for the reason `endReason`. */
  remove(key: string, endReason: GrantEndReason, nowMs: number): boolean;
  /** Removes an entry that has expired. */
  expire(key: string, value: string, nowMs: number): void;
  /** Enqueues an audit record of a refused access token if the token was issued and its refusal was not recorded before. */
  recordRefusal(user: string, grantId: string, hash: string, nowMs: number): void;
}

/** Creates the revocation of a shard. */
export function createRevocation({
  entries,
  revokedTokens,
  outbox,
  newId,
  userId,
}: RevocationDependencies): Revocation {
  const revokeToken = (key: string, value: string, refusal: TokenRefusalReason, nowMs: number): void => {
    const entryKey = parseEntryKey(key);
    if (entryKey?.tokenHash === undefined) return;
    revokedTokens.revoke(
      entryKey.tokenHash,
      { grantId: entryKey.grantId, clientId: parseTokenClient(value), refusal },
      nowMs,
    );
  };

  const endGrant = (
    subjectId: string,
    grantId: string,
    value: string,
    endReason: GrantEndReason,
    nowMs: number,
  ): void => {
    for (const token of entries.listWithPrefix(buildTokenPrefix(subjectId, grantId), nowMs)) {
      entries.remove(token.key, nowMs);
      revokeToken(token.key, token.value, "revoked", nowMs);
    }
    revokedTokens.deleteSpent(grantId);
    const record = parseGrant(value);
    if (!isCodeExchanged(record)) return;
    outbox.enqueue({ kind: "end", subjectId, grantId }, nowMs);
    const event = createEndEvent(newId(), { subjectId, clientId: record.clientId, grantId }, endReason, nowMs);
    outbox.enqueue({ kind: "note", note: event }, nowMs);
  };

  const endEntry = (key: string, value: string, endReason: GrantEndReason, nowMs: number): void => {
    const entryKey = parseEntryKey(key);
    if (entryKey === undefined || userId === undefined) return;
    if (entryKey.tokenHash === undefined) endGrant(userId, entryKey.grantId, value, endReason, nowMs);
    else revokeToken(key, value, endReason === "expired" ? "expired" : "revoked", nowMs);
  };

  return {
    remove(key: string, endReason: GrantEndReason, nowMs: number): boolean {
      const value = entries.remove(key, nowMs);
      if (value !== undefined) endEntry(key, value, endReason, nowMs);
      return value !== undefined;
    },
    expire(key: string, value: string, nowMs: number): void {
      entries.deleteExpired(key, nowMs);
      endEntry(key, value, "expired", nowMs);
    },
    recordRefusal(user: string, grantId: string, hash: string, nowMs: number): void {
      const refusedToken = revokedTokens.takeUnreported(hash) ?? markStoredTokenRefused(user, grantId, hash, nowMs);
      if (refusedToken === undefined) return;
      const subject = { subjectId: user, clientId: refusedToken.clientId, grantId: refusedToken.grantId };
      outbox.enqueue({ kind: "note", note: createRefusalEvent(newId(), subject, refusedToken.refusal, nowMs) }, nowMs);
    },
  };

  /** Marks a stored access token as refused: it expired after the last purge, or it is valid for another resource. */
  function markStoredTokenRefused(user: string, grantId: string, hash: string, nowMs: number) {
    const key = `${buildTokenPrefix(user, grantId)}${hash}`;
    const stored = entries.findStored(key);
    if (stored === undefined) return undefined;
    const isExpired = stored.expiresMs !== null && stored.expiresMs <= nowMs;
    const isEnding = outbox.isEnding(key) || outbox.isEnding(buildGrantKey(user, grantId));
    const refusal: TokenRefusalReason = isExpired ? "expired" : isEnding ? "revoked" : "elsewhere";
    const token = { grantId, clientId: parseTokenClient(stored.value), refusal };
    return revokedTokens.markRefused(hash, token, nowMs) ? token : undefined;
  }
}
