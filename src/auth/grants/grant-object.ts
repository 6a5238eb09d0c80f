// The Durable Object that keeps OAuth records: one per user for grants and tokens, a fixed number for the rest. What is here
// decides who is signed in, so nothing of it is read from anywhere else.
import { DurableObject } from "cloudflare:workers";
import type { NoteLedger } from "../../ledger/record.ts";
import { newId } from "../../lib/ids.ts";
import type { Duty } from "./duties.ts";
import { grantKey } from "./grant-record.ts";
import type { GrantStore } from "./kv.ts";
import { shardUser } from "./protocol.ts";
import type { GrantRpc, Kept, StoredGrant, StoredPage, TokenReply, TokenRequest } from "./protocol.ts";
import { unavailable } from "./replies.ts";
import { createShard } from "./shard.ts";
import type { Shard } from "./shard.ts";
import { createTokenEndpoint } from "./token-endpoint.ts";
import type { TokenEndpoint } from "./token-endpoint.ts";

export interface GrantOptions {
  /** How long a refresh token that was used is answered again. */
  readonly refreshGraceSeconds: number;
  /** What the other shards keep. */
  readonly store: GrantStore;
  /** The OAuth provider's token endpoint, over a store. */
  readonly serveToken: (request: Request, store: GrantStore) => Promise<Response>;
  /** Ends the sessions, streams and listeners of a grant. May be called again. */
  readonly endHeld: (subjectId: string, grantId: string) => Promise<void>;
  readonly ledgerOf: (subjectId: string) => NoteLedger;
  readonly onError: (message: string, error: unknown) => void;
}

/** Keeps OAuth records of one user, or of one shard of keys: class `GRANT` of the wrangler configuration. */
export class GrantObject<E = unknown> extends DurableObject<E> implements GrantRpc {
  readonly #options: GrantOptions;
  readonly #userId: string | undefined;
  readonly #shard: Shard;
  readonly #tokenEndpoint: TokenEndpoint | undefined;

  constructor(ctx: DurableObjectState, env: E, options: GrantOptions) {
    super(ctx, env);
    this.#options = options;
    const { refreshGraceSeconds, store, serveToken } = this.#options;
    const graceMs = refreshGraceSeconds * 1000;
    const userId = shardUser(ctx.id.name ?? "");
    this.#userId = userId;
    const shard = createShard(ctx.storage, { userId, graceMs, newId });
    this.#shard = shard;
    if (userId !== undefined)
      this.#tokenEndpoint = createTokenEndpoint({
        userId,
        shard,
        outside: store,
        serveToken,
        graceMs,
        now: () => Date.now(),
      });
  }

  async get(key: string): Promise<string | null> {
    return this.#shard.get(key, Date.now()) ?? null;
  }

  async put(key: string, kept: Kept): Promise<void> {
    this.#shard.put(key, kept, Date.now());
    await this.#settle();
  }

  async add(key: string, kept: Kept): Promise<boolean> {
    const isNew = this.#shard.add(key, kept, Date.now());
    await this.#settle();
    return isNew;
  }

  async remove(key: string): Promise<boolean> {
    const wasThere = this.#shard.remove(key, "ended", Date.now());
    await this.#settle();
    return wasThere;
  }

  async list(prefix: string, limit: number, cursor: string | null): Promise<StoredPage> {
    return this.#shard.list(prefix, limit, cursor, Date.now());
  }

  async token(request: TokenRequest): Promise<TokenReply> {
    const endpoint = this.#tokenEndpoint;
    if (endpoint === undefined) throw new TypeError("only a user's shard serves tokens");
    try {
      return await endpoint(request);
    } catch (error) {
      // Whatever failed is no judgement on the token: the client keeps it.
      this.#options.onError("the token endpoint failed", error);
      return unavailable();
    } finally {
      await this.#settle();
    }
  }

  async grants(): Promise<readonly StoredGrant[]> {
    return this.#userId === undefined ? [] : this.#shard.grants(this.#userId, Date.now());
  }

  async end(grantId: string): Promise<boolean> {
    return this.#userId !== undefined && this.remove(grantKey(this.#userId, grantId));
  }

  async refused(grantId: string, tokenHash: string): Promise<void> {
    if (this.#userId === undefined) return;
    this.#shard.refuse(this.#userId, grantId, tokenHash, Date.now());
    await this.#settle();
  }

  override async alarm(): Promise<void> {
    this.#shard.sweep(Date.now());
    await this.#settle();
    if (!this.#shard.isUsedUp()) return;
    this.#shard.forget();
    await this.ctx.storage.deleteAll();
  }

  /** The alarm stands before anything is tried: what a crash cuts off is taken up again. */
  async #settle(): Promise<void> {
    await this.#schedule();
    const owed = this.#shard.duties.due(Date.now());
    await Promise.all(
      owed.map(async (one) => {
        try {
          await this.#perform(one.duty);
          this.#shard.duties.done(one.id);
        } catch (error) {
          this.#options.onError("a duty of the grant store is postponed", error);
          this.#shard.duties.postpone(one, Date.now());
        }
      }),
    );
    if (owed.length > 0) await this.#schedule();
  }

  async #perform(duty: Duty): Promise<void> {
    switch (duty.kind) {
      case "end":
        return this.#options.endHeld(duty.subjectId, duty.grantId);
      case "note": {
        const { attempt, outcome, atMs } = duty.note;
        const noted = await this.#options.ledgerOf(attempt.subjectId).note(attempt, outcome, atMs);
        if (!noted.ok) throw new Error(`the ledger took no note: ${noted.reason}`);
      }
    }
  }

  async #schedule(): Promise<void> {
    const dueMs = this.#shard.nextDueMs();
    if (dueMs === undefined) return;
    const alarmMs = await this.ctx.storage.getAlarm();
    if (alarmMs === null || alarmMs > dueMs) await this.ctx.storage.setAlarm(dueMs);
  }
}
