// A refresh token that is used again. Its client may have lost the reply, so within a grace period the same reply is given again; after
// that, the token counts as stolen, and its grant ends (RFC 9700 §4.14.2).
import { decryptWithSecret, encryptWithSecret } from "../../lib/crypto.ts";
import type { TokenReply } from "./grant-protocol.ts";
import { createInvalidGrantReply, createRepeatedReply } from "./oauth-errors.ts";
import type { SpentRefreshToken } from "./revoked-tokens.ts";
import type { UnitOfWork } from "./unit-of-work.ts";

const ANSWER_PURPOSE = "gatehouse: answer to a refresh token";

export interface ReusedRefreshToken {
  readonly refreshToken: string;
  readonly spent: SpentRefreshToken;
  /** Has the OAuth provider revoke the token in `unit`, which it does only for the client that the token was issued to. */
  readonly checkOwner: () => Promise<TokenReply>;
  readonly unit: UnitOfWork;
  /** Asked after the owner was checked, which takes time. */
  readonly isInGracePeriod: () => boolean;
  readonly endGrant: () => Promise<void>;
}

/** Encrypts a token reply so that only the holder of the refresh token that got it can read it again. */
export async function sealReply(refreshToken: string, reply: TokenReply): Promise<ArrayBuffer> {
  return encryptWithSecret(refreshToken, ANSWER_PURPOSE, reply.body);
}

/** Repeats the stored reply to the client that it was issued to; after the grace period, ends the grant. */
export async function answerReusedRefreshToken({
  refreshToken,
  spent: { answer },
  checkOwner,
  unit,
  isInGracePeriod,
  endGrant,
}: ReusedRefreshToken): Promise<TokenReply> {
  const reply = await checkOwner();
  if (reply.status !== 200) return reply;
  // Another client presented the refresh token; it must not be able to end the owner's grant.
  if (!unit.endsGrant()) return createInvalidGrantReply(reply);
  if (answer !== null && isInGracePeriod())
    return createRepeatedReply(reply, await decryptWithSecret(refreshToken, ANSWER_PURPOSE, answer));
  // Two parties have used the refresh token, and the server cannot tell which one is the thief.
  await endGrant();
  return createInvalidGrantReply(reply);
}
