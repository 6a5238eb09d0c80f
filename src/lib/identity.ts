// The identity of a caller as it crosses boundaries: in the props of an OAuth grant, over RPC, and through the protocol layer.
import type { OnGrants } from "./answer-grants.ts";
import type { ProtocolOrigin } from "./protocol-origin.ts";
import type { OnSignIn } from "./sign-in-state.ts";
import { parseEmailAddress } from "./email-address.ts";

/** Identifies a signed-in user as the identity provider named them. */
export interface Identity {
  /** Derived from the issuer and the subject claim, never from the email address. */
  readonly subjectId: string;
  /** In the normalised spelling of `parseEmailAddress`. */
  readonly email: string;
  /** The user's groups as the identity provider last reported them, under its own names. */
  readonly groups: readonly string[];
  /** Present when a personal access token calls: `subjectId` is then the token's own, `email` and `groups` are its owner's. */
  readonly token?: PatIdentity;
}

/** Identifies a personal access token and limits its roles. */
interface PatIdentity {
  readonly id: string;
  /** The subject id of its owner. */
  readonly ownerId: string;
  /** The only roles that the personal access token can have. */
  readonly roles: readonly string[];
}

/**
 * Returns the subject id of the user behind a caller: the owner of a personal access token, or the user. Ledger, budgets,
 * query locks and limits belong to that user, so creating more personal access tokens gains nothing.
 */
export function getOwnerId({ subjectId, token }: Identity): string {
  return token?.ownerId ?? subjectId;
}

/** The OAuth grant through which a client calls, and the SHA-256 of its access token, in hex. */
export interface AccessGrant {
  readonly grantId: string;
  readonly tokenHash: string;
}

/** Names the caller of the gateway: an identity, and the OAuth client that acts for it. */
export interface Caller {
  readonly identity: Identity;
  readonly clientId: string;
  /** Absent for a personal access token and for the server's own pages, which are checked with each request. */
  readonly grant?: AccessGrant | undefined;
  /** Receives whether the grant had ended when a call began; absent where no cache of access tokens is used. */
  readonly onSignIn?: OnSignIn | undefined;
  /** Receives the grants that decided a call; absent when its answer is not stored. */
  readonly onGrants?: OnGrants;
  /** Receives a sentence that the answer should tell the user, besides its data. */
  readonly onNotice?: ((notice: string) => void) | undefined;
  /** Absent for the server's own pages. */
  readonly origin?: ProtocolOrigin | undefined;
  /** Names a call that may run again after a restart, and only this one; absent for others. Only proposals of changes need it. */
  readonly callId?: string | undefined;
  /** The id of the client's own trace, for the log; absent when it sent none. */
  readonly clientTraceId?: string | undefined;
}

/** Parses an identity. Throws `TypeError` where `readIdentity` returns undefined. */
export function parseIdentity(value: unknown): Identity {
  const identity = readIdentity(value);
  if (identity === undefined) throw new TypeError("not an identity");
  return identity;
}

/**
 * Reads an identity that was stored or sent; undefined for anything else, and for an identity whose address cannot be
 * normalised: an older version accepted such addresses, and they could be mistaken for another user's. Throws `TypeError`
 * for an invalid `token`.
 */
export function readIdentity(value: unknown): Identity | undefined {
  if (typeof value !== "object" || value === null || !("subjectId" in value && "email" in value)) return undefined;
  const { subjectId } = value;
  const email = parseEmailAddress(value.email);
  const groups = "groups" in value ? value.groups : [];
  if (!isNonEmptyString(subjectId) || email === undefined || !isStringArray(groups)) return undefined;
  const user = { subjectId, email, groups };
  return "token" in value && value.token !== undefined ? { ...user, token: parsePatIdentity(value.token) } : user;
}

/** Throws instead of ignoring an invalid value: without `token`, the caller would get all roles of the owner. */
function parsePatIdentity(value: unknown): PatIdentity {
  if (typeof value === "object" && value !== null && "id" in value && "ownerId" in value && "roles" in value) {
    const { id, ownerId, roles } = value;
    if (isNonEmptyString(id) && isNonEmptyString(ownerId) && isStringArray(roles)) return { id, ownerId, roles };
  }
  throw new TypeError("not the identity of a personal access token");
}

/** Parses a grant that was stored or sent; undefined when there is none. Throws `TypeError` for anything else: it would not be checked. */
export function parseAccessGrant(value: unknown): AccessGrant | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "object" && value !== null && "grantId" in value && "tokenHash" in value) {
    const { grantId, tokenHash } = value;
    if (isNonEmptyString(grantId) && isNonEmptyString(tokenHash)) return { grantId, tokenHash };
  }
  throw new TypeError("not the grant of a caller");
}

function isNonEmptyString(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function isStringArray(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
