// The Durable Object of one shard of the grant store: one per user for grants and access tokens, and a fixed number for all other
// entries. It alone decides who is signed in. A Worker may cache the entry of an access token for calls that begin in the ledger, so the
// end of a grant is written to the ledger first, and its entry removed second; in between, this object treats the entry as absent.
import { DurableObject } from "cloudflare:workers";
import type { EndedAccess, EventLedger } from "../../audit/audit-record.ts";
import { newId } from "../../lib/ids.ts";
import type { GrantEndReason } from "./audit-events.ts";
import type { OutboxEntry } from "./outbox.ts";
import { buildGrantKey, parseEntryKey } from "./grant-record.ts";
import type { GrantStore } from "./kv-contract.ts";
import { parseShardUser } from "./grant-protocol.ts";
import type { GrantRpc, NewEntry, StoredGrant, StoredPage, TokenReply, TokenRequest } from "./grant-protocol.ts";
import { createUnavailableReply } from "./oauth-errors.ts";
import { createShard } from "./grant-shard.ts";
import type { Shard } from "./grant-shard.ts";
import { createTokenEndpoint } from "./token-endpoint.ts";
import type { TokenEndpoint } from "./token-endpoint.ts";

/** What a GrantObject is created with. */
export interface GrantOptions {
  /** How long a spent refresh token gets the same reply again. */
  readonly refreshGraceSeconds: number;
  /** The store of all other shards. */
  readonly otherShards: GrantStore;
  /** The OAuth provider's token endpoint, over a store. */
  readonly serveToken: (request: Request, store: GrantStore) => Promise<Response>;
  /** Ends the sessions, streams and listeners of a grant. Can be repeated. */
  readonly endSessions: (subjectId: string, grantId: string) => Promise<void>;
  readonly openLedger: (subjectId: string) => EventLedger;
  /**
   * Stores in the subject's ledger that a grant or an access token has ended. Absent where no access token is cached, so that the end of
   * its entry is enough. Can be repeated.
   */
  readonly endInLedger?: (subjectId: string, ended: EndedAccess) => Promise<void>;
  readonly onError: (message: string, error: unknown) => void;
}

/** Stores the OAuth entries of one shard. The wrangler configuration binds it as `GRANT`. */
export class GrantObject<E = unknown> extends DurableObject<E> implements GrantRpc {
  readonly #options: GrantOptions;
  readonly #userId: string | undefined;
  readonly #shard: Shard;
  readonly #tokenEndpoint: TokenEndpoint | undefined;

  constructor(ctx: DurableObjectState, env: E, options: GrantOptions) {
    super(ctx, env);
    this.#options = options;
    const { refreshGraceSeconds, otherShards, serveToken } = this.#options;
    const graceMs = refreshGraceSeconds * 1000;
    const userId = parseShardUser(ctx.id.name ?? "");
    this.#userId = userId;
    const shard = createShard(ctx.storage, { userId, graceMs, newId });
    this.#shard = shard;
    if (userId !== undefined)
      this.#tokenEndpoint = createTokenEndpoint({
        userId,
        shard,
        otherShards,
        serveToken,
        endAccess: async (keys, endReason) => this.#endAccess(keys, endReason),
        graceMs,
        now: () => Date.now(),
      });
  }

  async get(key: string): Promise<string | null> {
    return this.#shard.get(key, Date.now()) ?? null;
  }

  async put(key: string, entry: NewEntry): Promise<void> {
    this.#shard.put(key, entry, Date.now());
    await this.#deliverDue();
  }

  async add(key: string, entry: NewEntry): Promise<boolean> {
    const isNew = this.#shard.add(key, entry, Date.now());
    await this.#deliverDue();
    return isNew;
  }

  async remove(key: string): Promise<boolean> {
    if (this.#userId !== undefined && parseEntryKey(key) !== undefined) return this.#endAccess([key], "ended");
    return this.#shard.remove(key, Date.now());
  }

  async list(prefix: string, limit: number, cursor: string | null): Promise<StoredPage> {
    return this.#shard.list(prefix, limit, cursor, Date.now());
  }

  async serveToken(request: TokenRequest): Promise<TokenReply> {
    const endpoint = this.#tokenEndpoint;
    if (endpoint === undefined) throw new TypeError("only a user's shard serves tokens");
    try {
      return await endpoint(request);
    } catch (error) {
      // An error says nothing about the refresh token, so the reply must not make the client discard it.
      this.#options.onError("the token endpoint failed", error);
      return createUnavailableReply();
    } finally {
      await this.#deliverDue();
    }
  }

  async listGrants(): Promise<readonly StoredGrant[]> {
    return this.#userId === undefined ? [] : this.#shard.listGrants(this.#userId, Date.now());
  }

  async endGrant(grantId: string): Promise<boolean> {
    return this.#userId !== undefined && this.remove(buildGrantKey(this.#userId, grantId));
  }

  async endAllGrants(): Promise<void> {
    const userId = this.#userId;
    if (userId !== undefined) await this.#endAccess(this.#shard.listAccessKeys(userId, Date.now()), "removed");
  }

  async recordRefusal(grantId: string, tokenHash: string): Promise<void> {
    if (this.#userId === undefined) return;
    this.#shard.recordRefusal(this.#userId, grantId, tokenHash, Date.now());
    await this.#deliverDue();
  }

  override async alarm(): Promise<void> {
    await this.#endExpired();
    this.#shard.purgeExpired(Date.now());
    await this.#deliverDue();
    if (!this.#shard.isEmptied()) return;
    this.#shard.reset();
    await this.ctx.storage.deleteAll();
  }

  /**
   * Ends grants and access tokens: from now on they are absent. The outbox holds the end until the ledger has stored it, so that a crash
   * cannot leave an end that only one of the two knows. Returns false when there is none of them; throws when the ledger could not be
   * reached, and goes on trying.
   */
  async #endAccess(keys: readonly string[], endReason: GrantEndReason): Promise<boolean> {
    if (!this.#shard.enqueueEnds(keys, endReason, Date.now())) return false;
    await this.#deliverDue();
    if (keys.some((key) => this.#shard.outbox.isEnding(key)))
      throw new Error("the end of a connection could not be written to the ledger and will be retried");
    return true;
  }

  /** Tells the ledger of grants that expire while an access token of theirs is still valid. */
  async #endExpired(): Promise<void> {
    const userId = this.#userId;
    if (userId === undefined) return;
    try {
      for (const grantId of this.#shard.listExpiredGrants(userId, Date.now()))
        await this.#options.endInLedger?.(userId, { grantId });
    } catch (error) {
      // These grants expired and were not revoked, so a cached access token may live on for its minute.
      this.#options.onError("the ledger did not store that a connection has expired", error);
    }
  }

  /**
   * Delivers the due messages of the outbox, and those that a delivery causes. Sets the alarm first, so that a crash only delays them.
   */
  async #deliverDue(): Promise<void> {
    await this.#scheduleAlarm();
    let dueEntries = this.#shard.outbox.listDue(Date.now());
    while (dueEntries.length > 0) {
      await Promise.all(dueEntries.map(async (outboxEntry) => this.#deliver(outboxEntry)));
      await this.#scheduleAlarm();
      dueEntries = this.#shard.outbox.listDue(Date.now());
    }
  }

  async #deliver(outboxEntry: OutboxEntry): Promise<void> {
    try {
      await this.#send(outboxEntry);
      this.#shard.outbox.remove(outboxEntry.id);
    } catch (error) {
      this.#options.onError("a message of the grant store's outbox was not delivered and will be retried", error);
      this.#shard.outbox.postpone(outboxEntry, Date.now());
    }
  }

  async #send({ id, message }: OutboxEntry): Promise<void> {
    switch (message.kind) {
      case "ending": {
        const { key, endReason } = message;
        const entryKey = parseEntryKey(key);
        if (entryKey !== undefined && this.#userId !== undefined)
          await this.#options.endInLedger?.(this.#userId, entryKey);
        return this.#shard.completeEnd({ id, key, endReason }, Date.now());
      }
      case "end":
        return this.#options.endSessions(message.subjectId, message.grantId);
      case "note": {
        const { attempt, outcome, atMs } = message.note;
        const appended = await this.#options.openLedger(attempt.subjectId).appendEvent(attempt, outcome, atMs);
        if (!appended.ok) throw new Error(`the ledger did not append the event: ${appended.reason}`);
      }
    }
  }

  async #scheduleAlarm(): Promise<void> {
    const dueMs = this.#shard.nextDueMs();
    if (dueMs === undefined) return;
    const alarmMs = await this.ctx.storage.getAlarm();
    if (alarmMs === null || alarmMs > dueMs) await this.ctx.storage.setAlarm(dueMs);
  }
}
