// A person's connections: which programs they signed in with, and how one is ended. For their own pages and the JSON API;
// whoever calls this has checked that it is that person.
import * as z from "zod";
import { userShard } from "./grants/protocol.ts";
import type { GrantNamespace } from "./grants/protocol.ts";

export interface Connection {
  readonly id: string;
  readonly clientId: string;
  /** What the program calls itself. Text of a stranger, and where an older version stored it, any text: see `displayName`. */
  readonly clientName: string;
  /** The domain that vouches for the program; null when it made up its name itself. */
  readonly clientDomain: string | null;
  readonly createdMs: number;
  /** When it last asked for an access token, which it does at most every `limits.accessTokenSeconds`. */
  readonly usedMs: number;
}

export interface Connections {
  /** Newest first. */
  list(subjectId: string): Promise<readonly Connection[]>;
  /** Ends one, with its tokens at once and its sessions and streams within seconds. False when the subject has none of that id. */
  end(subjectId: string, id: string): Promise<boolean>;
}

/** What sign-in keeps beside a grant, in clear: nothing personal belongs here. */
export interface ConnectionMetadata {
  readonly clientName: string;
  readonly clientDomain: string | null;
}

const metadataSchema = z.object({ clientName: z.string(), clientDomain: z.string().nullable() });

export function createConnections(grants: GrantNamespace): Connections {
  const shard = (subjectId: string) => grants.get(grants.idFromName(userShard(subjectId)));
  return {
    async list(subjectId) {
      const stored = await shard(subjectId).grants();
      return stored.map(({ grantId, clientId, metadata, createdMs, usedMs }) => ({
        id: grantId,
        clientId,
        ...metadataSchema.parse(JSON.parse(metadata)),
        createdMs,
        usedMs,
      }));
    },
    end: async (subjectId, id) => shard(subjectId).end(id),
  };
}
