// Access tokens for programs at the border: from the text that a request presents to the identity that everything behind it sees.
// Reads no policy: which of the token's roles its owner has today is decided with every call.
import { hashAccessToken, isAccessToken, tokenSubjectId } from "../lib/access-token.ts";
import { readIdentity } from "../lib/identity.ts";
import type { Identity } from "../lib/identity.ts";
import type { AccessTokens, PresentedAccessToken } from "../storage/access-tokens.ts";

export interface AccessTokenCheckOptions {
  readonly tokens: AccessTokens;
  /** How long after the owner's last sign-in or use what their groups give still counts for their tokens. */
  readonly ownerSeenSeconds: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Goes on with work after the answer has left. */
  readonly waitUntil: (work: Promise<unknown>) => void;
  /** Records that a token which has ended was used, and notes on the token that this is recorded. */
  readonly recordRefusal: (token: EndedAccessToken, reason: AccessTokenEnd) => Promise<void>;
}

export type EndedAccessToken = Pick<PresentedAccessToken, "id" | "ownerId">;

/** Why a token has ended. */
export type AccessTokenEnd = "revoked" | "expired";

/** The identity of a token that may be used now; undefined for every other text, whatever is wrong with it. */
export type AccessTokenCheck = (text: string) => Promise<Identity | undefined>;

/** `used_ms` moves at most this often. */
const TOUCH_INTERVAL_MS = 60_000;

export function createAccessTokenCheck(options: AccessTokenCheckOptions): AccessTokenCheck {
  const { tokens, ownerSeenSeconds, now, waitUntil, recordRefusal } = options;
  return async (text) => {
    if (!isAccessToken(text)) return undefined;
    const token = await tokens.find(await hashAccessToken(text));
    if (token === undefined) return undefined;
    const nowMs = now();
    const ended = token.revokedMs !== null ? "revoked" : token.expiresMs <= nowMs ? "expired" : undefined;
    if (ended !== undefined) {
      // Once for each reason: an attacker who has the text of an ended token could otherwise fill its owner's record.
      if (!token.recordedRefusals.includes(ended)) await recordRefusal(token, ended);
      return undefined;
    }
    const isOwnerKnown = nowMs - token.ownerSeenMs < ownerSeenSeconds * 1000;
    const identity = await identityOfToken(token, isOwnerKnown ? token.ownerGroups : []);
    if (identity === undefined) return undefined;
    if (token.usedMs === null || nowMs - token.usedMs >= TOUCH_INTERVAL_MS) waitUntil(tokens.touch(token.id, nowMs));
    return identity;
  };
}

/** Undefined when the owner was seen last with an address that is refused today: a token has what its owner has, so nothing. */
async function identityOfToken(
  { id, ownerId, ownerEmail, roles }: PresentedAccessToken,
  groups: readonly string[],
): Promise<Identity | undefined> {
  return readIdentity({
    subjectId: await tokenSubjectId(id),
    email: ownerEmail,
    groups,
    token: { id, ownerId, roles },
  });
}
