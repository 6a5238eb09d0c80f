// Who somebody is, as it crosses borders: in the props of a grant, over RPC, and in what the protocol layer carries.
import type { NoteGrants } from "./answer-grants.ts";
import { parseEmailAddress } from "./email-address.ts";

/** Who signed in, as the identity provider said. `subjectId` derives from issuer and subject claim, never the email. */
export interface Identity {
  readonly subjectId: string;
  /** In its one spelling, as `parseEmailAddress` gives it. */
  readonly email: string;
  /** What the identity provider last said of the person's groups, in its own names. */
  readonly groups: readonly string[];
  /** There when an access token for programs calls: `subjectId` is the token's own, `email` and `groups` are its owner's. */
  readonly token?: TokenIdentity;
}

export interface TokenIdentity {
  readonly id: string;
  /** The subject id of the person whose it is. */
  readonly ownerId: string;
  /** It never has more roles than these. */
  readonly roles: readonly string[];
}

/**
 * The subject id of the person behind a caller: an access token's owner, or the person. Ledger, budgets, query locks and limits
 * are that person's, so that making tokens gains no more of them.
 */
export function ownerIdOf({ subjectId, token }: Identity): string {
  return token?.ownerId ?? subjectId;
}

/** Who calls, as the gateway takes it: an identity and the OAuth client that acts for it. */
export interface Caller {
  readonly identity: Identity;
  readonly clientId: string;
  /** Where a call notes the grants that decided it; absent when nothing stores its answer. */
  readonly noteGrants?: NoteGrants;
}

/** Parses an identity. Throws `TypeError` when `readIdentity` reads none. */
export function parseIdentity(value: unknown): Identity {
  const identity = readIdentity(value);
  if (identity === undefined) throw new TypeError("not an identity");
  return identity;
}

/**
 * Reads an identity that was stored or sent; undefined when it is anything else, or when its address has no one spelling: an older
 * version took such addresses, and they could be taken for another person's.
 */
export function readIdentity(value: unknown): Identity | undefined {
  if (typeof value !== "object" || value === null || !("subjectId" in value && "email" in value)) return undefined;
  const { subjectId } = value;
  const email = parseEmailAddress(value.email);
  const groups = "groups" in value ? value.groups : [];
  if (!isName(subjectId) || email === undefined || !isTexts(groups)) return undefined;
  const person = { subjectId, email, groups };
  return "token" in value && value.token !== undefined ? { ...person, token: parseToken(value.token) } : person;
}

/** What cannot be read must not pass for a person: their roles would not be restricted. */
function parseToken(value: unknown): TokenIdentity {
  if (typeof value === "object" && value !== null && "id" in value && "ownerId" in value && "roles" in value) {
    const { id, ownerId, roles } = value;
    if (isName(id) && isName(ownerId) && isTexts(roles)) return { id, ownerId, roles };
  }
  throw new TypeError("not the identity of an access token");
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}
