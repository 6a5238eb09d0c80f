// The names of the users and clients in audit records: records have ids only.
import type { OwnDatabase } from "../own-database/own-database.ts";

/** Names as they are now. */
export interface Names {
  /** The address of a user by subject id; null when it is not known. */
  findEmail(subjectId: string | null): string | null;
  /** The name of a personal access token; null for another client. */
  findPatName(clientId: string | null): string | null;
  /** The client ids that this text names: itself, or the personal access tokens with this name or id. */
  listClientIds(text: string): readonly string[];
}

/** The client id in the records of a personal access token. */
const patClientId = (id: string): string => `access-token ${id}`;

/** Reads the names of all users and personal access tokens. */
export async function readNames({ members, pats }: OwnDatabase): Promise<Names> {
  const emails = await members.listAddresses();
  const tokens = await pats.listAll();
  const patNames = new Map(tokens.map(({ id, name }) => [patClientId(id), name]));
  return {
    findEmail: (subjectId) => emails.get(subjectId ?? "") ?? null,
    findPatName: (clientId) => patNames.get(clientId ?? "") ?? null,
    listClientIds: (text) => [
      text,
      ...tokens.flatMap(({ id, name }) => (id === text || name === text ? [patClientId(id)] : [])),
    ],
  };
}
