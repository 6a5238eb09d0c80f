// The token endpoint of one user, inside the object that keeps their grants. Requests that concern a grant are served one after the other, each
// as one unit of work; a refresh token that was just used gets the very same answer again; one that comes later ends the grant.
import { openUnder, sealUnder, sha256Hex } from "../../lib/crypto.ts";
import { grantKey, parseGrant } from "./grant-record.ts";
import type { GrantStore } from "./kv.ts";
import type { Ending } from "./notes.ts";
import { ownershipForm, readPresented } from "./presented.ts";
import type { Presented } from "./presented.ts";
import { userShard } from "./protocol.ts";
import type { TokenReply, TokenRequest } from "./protocol.ts";
import { invalidGrant, repeated, toReply, unavailable } from "./replies.ts";
import type { Shard } from "./shard.ts";
import { createTurns } from "./turns.ts";
import type { Turn } from "./turns.ts";
import { createUnit } from "./unit.ts";
import type { Unit } from "./unit.ts";

export interface TokenEndpointOptions {
  readonly userId: string;
  readonly shard: Shard;
  /** What the other shards keep. */
  readonly outside: GrantStore;
  /** The OAuth provider's own endpoint, over a store. */
  readonly serveToken: (request: Request, store: GrantStore) => Promise<Response>;
  readonly graceMs: number;
  readonly now: () => number;
}

export type TokenEndpoint = (request: TokenRequest) => Promise<TokenReply>;

/** A client waits so long for its turn; a turn lasts so long, with the identity provider's answer in it. */
const TURN_LIMITS = { waitMs: 40_000, holdMs: 30_000, maxWaiting: 200 };
/** Keeps the keys of sealed answers apart from whatever else is derived from a token. */
const ANSWER = "gatehouse: answer to a refresh token";

/** What became of the grant if the provider deletes it while serving. */
const ENDING_OF: Readonly<Record<Presented["kind"], Ending>> = {
  code: "replayed",
  refresh: "refused",
  revocation: "revoked",
};

interface Asked {
  readonly presented: Presented;
  readonly hash: string;
  readonly request: TokenRequest;
}

/** Serves requests that present a credential of this user. Throws what the provider throws; then nothing was changed. */
export function createTokenEndpoint(options: TokenEndpointOptions): TokenEndpoint {
  const { userId, shard, outside, serveToken, graceMs, now } = options;
  const turns = createTurns(TURN_LIMITS);

  const unitFor = ({ presented, hash }: Asked, isSpent: boolean): Unit =>
    createUnit({
      shard,
      shardName: userShard(userId),
      key: grantKey(userId, presented.grantId),
      outside,
      // The provider remembers one spent token, the store all: to it, whichever is presented was never replaced.
      present: (value) => (isSpent ? JSON.stringify({ ...parseGrant(value), refreshTokenId: hash }) : value),
      now,
    });

  const run = async ({ url, headers }: TokenRequest, body: string, unit: Unit): Promise<TokenReply> => {
    return toReply(await serveToken(new Request(url, { method: "POST", headers, body }), unit.store));
  };

  /** The answer of last time, for the client that it was given to; or the end of the grant. */
  const repeat = async (asked: Asked, { spentMs, answer }: { spentMs: number; answer: ArrayBuffer | null }) => {
    const { presented, request } = asked;
    const unit = unitFor(asked, true);
    const form = ownershipForm(new URLSearchParams(request.body), presented.token);
    const reply = await run(request, form.toString(), unit);
    if (reply.status !== 200) return reply;
    // Somebody else's client: the token is not its own, and what it does must not end the owner's grant.
    if (!unit.endsGrant()) return invalidGrant(reply);
    if (answer !== null && now() < spentMs + graceMs)
      return repeated(reply, await openUnder(presented.token, ANSWER, answer));
    // RFC 9700 §4.14.2: two parties have had the token, and nobody can tell which one is the thief.
    shard.remove(grantKey(userId, presented.grantId), "spent", now());
    return invalidGrant(reply);
  };

  const serve = async (asked: Asked, turn: Turn): Promise<TokenReply> => {
    const { presented, hash, request } = asked;
    const { kind, token, grantId } = presented;
    const spent = shard.spent(hash);
    if (spent !== undefined && kind === "refresh") return repeat(asked, spent);
    const unit = unitFor(asked, spent !== undefined);
    const reply = await run(request, request.body, unit);
    if (unit.writes.size === 0) return reply;
    const spend =
      kind === "refresh" && reply.status === 200
        ? { hash, grantId, answer: await sealUnder(token, ANSWER, reply.body) }
        : undefined;
    const { writes } = unit;
    const work = { key: grantKey(userId, grantId), read: unit.read(), writes, ending: ENDING_OF[kind], spend };
    return turn.isCurrent() && shard.commit(work, now()) ? reply : unavailable();
  };

  return async (request) => {
    const presented = readPresented(new URLSearchParams(request.body));
    if (presented?.userId !== userId) throw new TypeError("the request presents no token of this user");
    const asked = { presented, hash: await sha256Hex(presented.token), request };
    // Who makes tokens up gets no turn: nobody who has one waits for them.
    if (!shard.knows(userId, presented.grantId, asked.hash, now())) return serve(asked, { isCurrent: () => true });
    return (await turns.run(presented.grantId, async (turn) => serve(asked, turn))) ?? unavailable();
  };
}
