// Parses the members of the OAuth provider's records that the grant store needs, and builds and parses its keys. The provider
// documents the other members.
import * as z from "zod";

const grantSchema = z.looseObject({
  clientId: z.string(),
  /** Seconds since the epoch. */
  createdAt: z.number(),
  metadata: z.unknown(),
  /** SHA-256 of the code, also after its use. */
  authCodeId: z.string().optional(),
  /** Present until the code is exchanged. */
  authCodeWrappedKey: z.string().optional(),
  refreshTokenId: z.string().optional(),
});

type GrantRecord = z.output<typeof grantSchema>;

/** Parses a stored grant. Throws for invalid records, which are defects. */
export function parseGrant(value: string): GrantRecord {
  return grantSchema.parse(JSON.parse(value));
}

/** Whether the client has exchanged the code. Until then the grant is not a connection. */
export function isCodeExchanged({ authCodeWrappedKey }: GrantRecord): boolean {
  return authCodeWrappedKey === undefined;
}

const accessTokenSchema = z.object({ grant: z.object({ clientId: z.string() }) });

/** Parses the id of the client that an access token was issued to. */
export function parseTokenClient(value: string): string {
  return accessTokenSchema.parse(JSON.parse(value)).grant.clientId;
}

/** Builds the key of a grant. */
export function buildGrantKey(userId: string, grantId: string): string {
  return `grant:${userId}:${grantId}`;
}

/** Builds the key prefix of all access tokens of a grant. */
export function buildTokenPrefix(userId: string, grantId: string): string {
  return `token:${userId}:${grantId}:`;
}

/** Parses the key of a grant or an access token; undefined for other keys. */
export function parseEntryKey(
  key: string,
): { readonly grantId: string; readonly tokenHash: string | undefined } | undefined {
  const [kind, , grantId, tokenHash, ...rest] = key.split(":");
  if (grantId === undefined || rest.length > 0) return undefined;
  if (kind === "grant" && tokenHash === undefined) return { grantId, tokenHash: undefined };
  return kind === "token" && tokenHash !== undefined ? { grantId, tokenHash } : undefined;
}
