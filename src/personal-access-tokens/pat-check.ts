// Checks the personal access token of a request and returns its identity. It does not read the policy: each call decides which of the
// token's roles its owner has at that time.
import { hashPat, hasPatFormat, derivePatSubjectId } from "./pat-text.ts";
import { readIdentity } from "../lib/identity.ts";
import type { Identity } from "../lib/identity.ts";
import type { PatStore, PresentedPat } from "./pat-store.ts";

/** What the check needs. */
interface PatCheckOptions {
  readonly pats: PatStore;
  /** How long after the owner's last sign-in or use their groups still count for their personal access tokens. */
  readonly ownerSeenSeconds: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Continues work after the response was sent. */
  readonly waitUntil: (work: Promise<unknown>) => void;
  /** Records the use of an ended personal access token, and stores that this reason was recorded. */
  readonly recordRefusal: (pat: RefusedPat, reason: PatEndReason) => Promise<void>;
}

/** An ended personal access token that was used. */
export type RefusedPat = Pick<PresentedPat, "id" | "ownerId">;

/** Why a personal access token has ended. */
export type PatEndReason = "revoked" | "expired";

/** Returns the identity of an active personal access token; undefined for every other text. */
export type PatCheck = (text: string) => Promise<Identity | undefined>;

/** `used_ms` is updated at most this often, because each update is a write to D1. */
const TOUCH_INTERVAL_MS = 60_000;

/** Creates the check. It rejects when the database does not answer, so that a valid token is not called invalid. */
export function createPatCheck(options: PatCheckOptions): PatCheck {
  const { pats, ownerSeenSeconds, now, waitUntil, recordRefusal } = options;
  return async (text) => {
    if (!hasPatFormat(text)) return undefined;
    const pat = await pats.findByHash(await hashPat(text));
    if (pat === undefined) return undefined;
    const nowMs = now();
    const endReason = pat.revokedMs !== null ? "revoked" : pat.expiresMs <= nowMs ? "expired" : undefined;
    if (endReason !== undefined) {
      // Recorded once for each reason: otherwise an attacker who has an ended token could fill its owner's ledger.
      if (!pat.recordedRefusals.includes(endReason)) await recordRefusal(pat, endReason);
      return undefined;
    }
    const areOwnerGroupsCurrent = nowMs - pat.ownerSeenMs < ownerSeenSeconds * 1000;
    const identity = await buildPatIdentity(pat, areOwnerGroupsCurrent ? pat.ownerGroups : []);
    if (identity === undefined) return undefined;
    if (pat.usedMs === null || nowMs - pat.usedMs >= TOUCH_INTERVAL_MS) waitUntil(pats.touch(pat.id, nowMs));
    return identity;
  };
}

/** Undefined when the address of the owner is refused today: the owner could not sign in with it, so the token gives no access. */
async function buildPatIdentity(
  { id, ownerId, ownerEmail, roles }: PresentedPat,
  groups: readonly string[],
): Promise<Identity | undefined> {
  return readIdentity({
    subjectId: await derivePatSubjectId(id),
    email: ownerEmail,
    groups,
    token: { id, ownerId, roles },
  });
}
