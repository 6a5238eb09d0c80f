// The Durable Object of one shard of the grant store: one per user for grants and access tokens, and a fixed number for all other
// entries. It alone decides who is signed in, so no caller may cache its entries.
import { DurableObject } from "cloudflare:workers";
import type { EventLedger } from "../../audit/audit-record.ts";
import { newId } from "../../lib/ids.ts";
import type { OutboxMessage } from "./outbox.ts";
import { buildGrantKey } from "./grant-record.ts";
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
    const existed = this.#shard.remove(key, "ended", Date.now());
    await this.#deliverDue();
    return existed;
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

  async recordRefusal(grantId: string, tokenHash: string): Promise<void> {
    if (this.#userId === undefined) return;
    this.#shard.recordRefusal(this.#userId, grantId, tokenHash, Date.now());
    await this.#deliverDue();
  }

  override async alarm(): Promise<void> {
    this.#shard.purgeExpired(Date.now());
    await this.#deliverDue();
    if (!this.#shard.isEmptied()) return;
    this.#shard.reset();
    await this.ctx.storage.deleteAll();
  }

  /** Delivers the due messages of the outbox. Sets the alarm first, so that a crash only delays them. */
  async #deliverDue(): Promise<void> {
    await this.#scheduleAlarm();
    const dueEntries = this.#shard.outbox.listDue(Date.now());
    await Promise.all(
      dueEntries.map(async (outboxEntry) => {
        try {
          await this.#deliver(outboxEntry.message);
          this.#shard.outbox.remove(outboxEntry.id);
        } catch (error) {
          this.#options.onError("a message of the grant store's outbox was not delivered and will be retried", error);
          this.#shard.outbox.postpone(outboxEntry, Date.now());
        }
      }),
    );
    if (dueEntries.length > 0) await this.#scheduleAlarm();
  }

  async #deliver(message: OutboxMessage): Promise<void> {
    switch (message.kind) {
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
