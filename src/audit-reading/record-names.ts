// The names of the users and clients in audit records: records have ids only.
import type { MemberStore } from "../members/member-store.ts";
import { formatPatClientId } from "../lib/pat-client.ts";
import type { PatStore } from "../personal-access-tokens/pat-store.ts";

/** Names as they are now. Names of clients are text of other parties. */
export interface RecordNames {
  /** The address of a user by subject id; null when it is not known. */
  findEmail(subjectId: string | null): string | null;
  /** The name of a personal access token; null for another client. */
  findPatName(clientId: string | null): string | null;
  /**
   * The name of a personal access token, the host that publishes a client, or the name with which a client registered itself; null when
   * none is known.
   */
  findClientName(clientId: string | null): string | null;
  /** The client ids that this text names: itself, or the personal access tokens with this name or id. */
  listClientIds(text: string): readonly string[];
}

/** The names with which clients registered themselves, by client id. */
export type ClientNames = ReadonlyMap<string, string>;

/** Names of all users and personal access tokens. */
interface NameStores {
  readonly members: Pick<MemberStore, "listAddresses">;
  readonly pats: Pick<PatStore, "listAll">;
}

/** Reads the names of all users and personal access tokens. */
export async function readNames({ members, pats }: NameStores): Promise<RecordNames> {
  return createNames(await members.listAddresses(), await pats.listAll());
}

/** Creates the names from what is known. */
export function createNames(
  emails: ReadonlyMap<string, string>,
  tokens: readonly { readonly id: string; readonly name: string }[],
): RecordNames {
  const patNames = new Map(tokens.map(({ id, name }) => [formatPatClientId(id), name]));
  return {
    findEmail: (subjectId) => emails.get(subjectId ?? "") ?? null,
    findPatName: (clientId) => patNames.get(clientId ?? "") ?? null,
    findClientName: (clientId) => (clientId === null ? null : (patNames.get(clientId) ?? findPublisher(clientId))),
    listClientIds: (text) => [
      text,
      ...tokens.flatMap(({ id, name }) => (id === text || name === text ? [formatPatClientId(id)] : [])),
    ],
  };
}

/** Adds the names with which clients registered themselves. */
export function addClientNames(names: RecordNames, clientNames: ClientNames): RecordNames {
  return {
    ...names,
    findClientName: (clientId) =>
      names.findPatName(clientId) ?? clientNames.get(clientId ?? "") ?? names.findClientName(clientId),
  };
}

/** Finds the host of a client whose id is the address of its metadata document: it vouches for the client. */
function findPublisher(clientId: string): string | null {
  return /^https:/i.test(clientId) && URL.canParse(clientId) ? new URL(clientId).host : null;
}
