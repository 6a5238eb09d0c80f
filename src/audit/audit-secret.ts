// The secret GATEHOUSE_AUDIT_KEY, from which keys for signatures are derived, each for one purpose.

const MIN_SECRET_CHARACTERS = 32;

/** Parses the secret; null when it is not set. Throws `TypeError` when it is too short. */
export function parseAuditSecret(secret: unknown): string | null {
  if (secret === undefined || secret === "") return null;
  if (typeof secret !== "string" || secret.length < MIN_SECRET_CHARACTERS)
    throw new TypeError(
      "GATEHOUSE_AUDIT_KEY is too short. It needs at least 32 random characters, for example from `openssl rand -hex 32`.",
    );
  return secret;
}
