// The records of the OAuth provider, as far as the store looks into them. The provider's documentation describes the rest.
import * as z from "zod";

const grantSchema = z.looseObject({
  clientId: z.string(),
  /** Seconds since the epoch. */
  createdAt: z.number(),
  metadata: z.unknown(),
  /** SHA-256 of the code, also when it was used. */
  authCodeId: z.string().optional(),
  /** There until the code is used. */
  authCodeWrappedKey: z.string().optional(),
  refreshTokenId: z.string().optional(),
});

export type GrantRecord = z.output<typeof grantSchema>;

export function parseGrant(value: string): GrantRecord {
  return grantSchema.parse(JSON.parse(value));
}

/** A code that nobody has exchanged is no connection yet. */
export function isInUse({ authCodeWrappedKey }: GrantRecord): boolean {
  return authCodeWrappedKey === undefined;
}

const tokenSchema = z.object({ grant: z.object({ clientId: z.string() }) });

/** The client that an access token was given to. */
export function parseTokenClient(value: string): string {
  return tokenSchema.parse(JSON.parse(value)).grant.clientId;
}

export function grantKey(userId: string, grantId: string): string {
  return `grant:${userId}:${grantId}`;
}

/** Of all access tokens of a grant. */
export function tokenPrefix(userId: string, grantId: string): string {
  return `token:${userId}:${grantId}:`;
}

/** A grant or an access token, of its key; undefined for other keys. */
export function ownedOf(key: string): { readonly grantId: string; readonly tokenHash: string | undefined } | undefined {
  const [kind, , grantId, tokenHash, ...rest] = key.split(":");
  if (grantId === undefined || rest.length > 0) return undefined;
  if (kind === "grant" && tokenHash === undefined) return { grantId, tokenHash: undefined };
  return kind === "token" && tokenHash !== undefined ? { grantId, tokenHash } : undefined;
}
