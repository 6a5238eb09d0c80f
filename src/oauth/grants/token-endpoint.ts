// The token endpoint of one user, inside the Durable Object that stores the user's grants. It serves the requests of a grant one
// after the other, each as one unit of work. A refresh token that comes again within the grace period gets the same reply; after
// it, the grant ends.
import { sha256Hex } from "../../lib/crypto.ts";
import { buildGrantKey, parseGrant } from "./grant-record.ts";
import type { GrantStore } from "./kv-contract.ts";
import type { GrantEndReason } from "./audit-events.ts";
import { buildOwnershipCheck, parsePresentedCredential } from "./token-request.ts";
import type { PresentedCredential } from "./token-request.ts";
import { nameUserShard } from "./grant-protocol.ts";
import type { TokenReply, TokenRequest } from "./grant-protocol.ts";
import { answerReusedRefreshToken, sealReply } from "./refresh-token-reuse.ts";
import { createUnavailableReply, toTokenReply } from "./oauth-errors.ts";
import type { Shard } from "./grant-shard.ts";
import { createGrantMutex } from "./grant-mutex.ts";
import type { MutexHold } from "./grant-mutex.ts";
import { UnitOfWork } from "./unit-of-work.ts";

interface TokenEndpointOptions {
  readonly userId: string;
  readonly shard: Shard;
  /** The store of all other shards. */
  readonly otherShards: GrantStore;
  /** The OAuth provider's token endpoint, over a store. */
  readonly serveToken: (request: Request, store: GrantStore) => Promise<Response>;
  /** Ends grants and access tokens: in the ledger first, then in the shard. Throws when the ledger cannot be reached. */
  readonly endAccess: (keys: readonly string[], endReason: GrantEndReason) => Promise<unknown>;
  readonly graceMs: number;
  readonly now: () => number;
}

/** Serves one request. */
export type TokenEndpoint = (request: TokenRequest) => Promise<TokenReply>;

/** The hold includes the time that the identity provider takes to answer. */
const MUTEX_LIMITS = { maxWaitMs: 40_000, maxHoldMs: 30_000, maxWaiting: 200 };
/** Why a grant has ended when the provider deletes it while it serves such a credential. */
const END_REASONS: Readonly<Record<PresentedCredential["kind"], GrantEndReason>> = {
  code: "replayed",
  refresh: "refused",
  revocation: "revoked",
};

interface CredentialRequest {
  readonly credential: PresentedCredential;
  readonly hash: string;
  readonly request: TokenRequest;
}

/** Creates the endpoint for requests that present a credential of this user. It throws what the provider throws, without changes. */
export function createTokenEndpoint(options: TokenEndpointOptions): TokenEndpoint {
  const { userId, shard, otherShards, serveToken, endAccess, graceMs, now } = options;
  const mutex = createGrantMutex(MUTEX_LIMITS);

  const openUnit = ({ credential, hash }: CredentialRequest, isSpent: boolean): UnitOfWork =>
    new UnitOfWork({
      shard,
      shardName: nameUserShard(userId),
      grantKey: buildGrantKey(userId, credential.grantId),
      otherShards,
      // The provider knows only the current refresh token. It sees a spent one, which the store knows, as the current one.
      presentGrant: (value) => (isSpent ? JSON.stringify({ ...parseGrant(value), refreshTokenId: hash }) : value),
      now,
    });

  const serveInUnit = async ({ url, headers }: TokenRequest, body: string, unit: UnitOfWork): Promise<TokenReply> => {
    return toTokenReply(await serveToken(new Request(url, { method: "POST", headers, body }), unit));
  };

  const serveCredential = async (credentialRequest: CredentialRequest, hold: MutexHold): Promise<TokenReply> => {
    const { credential, hash, request } = credentialRequest;
    const { kind, credential: credentialText, grantId } = credential;
    const spent = shard.findSpent(hash);
    const unit = openUnit(credentialRequest, spent !== undefined);
    if (spent !== undefined && kind === "refresh")
      return answerReusedRefreshToken({
        refreshToken: credentialText,
        spent,
        unit,
        checkOwner: async () => {
          const form = buildOwnershipCheck(new URLSearchParams(request.body), credentialText);
          return serveInUnit(request, form.toString(), unit);
        },
        isInGracePeriod: () => now() < spent.spentMs + graceMs,
        endGrant: async () => void (await endAccess([buildGrantKey(userId, grantId)], "spent")),
      });
    const reply = await serveInUnit(request, request.body, unit);
    const { puts, endedKeys, initialGrant } = unit;
    const grantKey = buildGrantKey(userId, grantId);
    if (endedKeys.length > 0) {
      if (!hold.isHeld() || !shard.isUnchanged(grantKey, initialGrant, now())) return createUnavailableReply();
      await endAccess(endedKeys, END_REASONS[kind]);
    }
    if (puts.size === 0) return reply;
    const spentToken =
      kind === "refresh" && reply.status === 200
        ? { hash, grantId, answer: await sealReply(credentialText, reply) }
        : undefined;
    const commit = { grantKey, initialGrant, puts, spentToken };
    return hold.isHeld() && shard.commit(commit, now()) ? reply : createUnavailableReply();
  };

  return async (request) => {
    const credential = parsePresentedCredential(new URLSearchParams(request.body));
    if (credential?.userId !== userId) throw new TypeError("the request presents no credential of this user");
    const credentialRequest = { credential, hash: await sha256Hex(credential.credential), request };
    // A made-up credential does not take the mutex, so an attacker cannot make the owner's requests wait.
    if (!shard.hasCredential(userId, credential.grantId, credentialRequest.hash, now()))
      return serveCredential(credentialRequest, { isHeld: () => true });
    return (
      (await mutex.runExclusive(credential.grantId, async (hold) => serveCredential(credentialRequest, hold))) ??
      createUnavailableReply()
    );
  };
}
