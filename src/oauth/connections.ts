// Lists and ends the connections of a user, each one client that the user signed in with. The start page and the JSON API use
// it; callers must have checked that the caller is that user.
import * as z from "zod";
import { nameUserShard } from "./grants/grant-protocol.ts";
import type { GrantNamespace } from "./grants/grant-protocol.ts";

/** Describes one connection of a user. */
export interface Connection {
  readonly id: string;
  readonly clientId: string;
  /** The client's own name for itself: untrusted text. An older version stored it unchecked, so pages show `displayName` of it. */
  readonly clientName: string;
  /** The domain that vouches for the client; null when the client chose its name itself. */
  readonly clientDomain: string | null;
  readonly createdMs: number;
  /** When the client last refreshed: about every `limits.accessTokenSeconds` while it is in use. */
  readonly usedMs: number;
}

/** Lists and ends connections. */
export interface Connections {
  /** Returns the newest first. */
  list(subjectId: string): Promise<readonly Connection[]>;
  /**
   * Ends a connection: its access and refresh tokens at once, its sessions and streams within seconds. False when the subject
   * has no such connection.
   */
  end(subjectId: string, id: string): Promise<boolean>;
  /** Ends everything that clients hold for a removed member: connections, and codes that were not exchanged. Can be repeated. */
  endAll(subjectId: string): Promise<void>;
}

/** Describes a client beside its grant, stored unencrypted: it must not contain personal data. */
export interface ConnectionMetadata {
  readonly clientName: string;
  readonly clientDomain: string | null;
}

const metadataSchema = z.object({ clientName: z.string(), clientDomain: z.string().nullable() });

/** Creates the operations over the grant store. Each makes one call to the user's object. */
export function createConnections(grants: GrantNamespace): Connections {
  const getShard = (subjectId: string) => grants.get(grants.idFromName(nameUserShard(subjectId)));
  return {
    async list(subjectId) {
      const storedGrants = await getShard(subjectId).listGrants();
      return storedGrants.map(({ grantId, clientId, metadata, createdMs, usedMs }) => ({
        id: grantId,
        clientId,
        ...metadataSchema.parse(JSON.parse(metadata)),
        createdMs,
        usedMs,
      }));
    },
    end: async (subjectId, id) => getShard(subjectId).endGrant(id),
    endAll: async (subjectId) => getShard(subjectId).endAllGrants(),
  };
}
