// Who somebody is, as it crosses borders: in the props of a grant, over RPC, and in what the protocol layer carries.

/** Who signed in, as the identity provider said. `subjectId` derives from issuer and subject claim, never the email. */
export interface Identity {
  readonly subjectId: string;
  readonly email: string;
  /** What the identity provider last said of the person's groups, in its own names. */
  readonly groups: readonly string[];
}

/** Parses an identity. Throws `TypeError` when it is anything else. */
export function parseIdentity(value: unknown): Identity {
  if (typeof value === "object" && value !== null && "subjectId" in value && "email" in value) {
    const { subjectId, email } = value;
    const groups = "groups" in value ? value.groups : [];
    if (typeof subjectId === "string" && subjectId !== "" && typeof email === "string" && isTexts(groups))
      return { subjectId, email, groups };
  }
  throw new TypeError("not an identity");
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}
