// The names with which clients registered themselves, for people who read the audit log. Names are text of the clients.
import * as z from "zod";
import type { GrantStore } from "../grants/kv-contract.ts";

const CLIENT_PREFIX = "client:";
/** The form of the ids that registered clients get. Clients with a metadata document are named by its address. */
const REGISTERED_ID = /^[A-Za-z0-9_-]{16}$/;
const clientSchema = z.object({ clientName: z.string() });

/** Finds names by client id. Clients that are unknown, or whose registration has ended, have none. */
export async function findClientNames(
  store: Pick<GrantStore, "get">,
  clientIds: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const ids = [...new Set(clientIds)].filter((id) => REGISTERED_ID.test(id));
  const found = await Promise.all(
    ids.map(async (id): Promise<readonly (readonly [string, string])[]> => {
      const { data } = clientSchema.safeParse(await store.get(`${CLIENT_PREFIX}${id}`, "json"));
      return data === undefined ? [] : [[id, data.clientName]];
    }),
  );
  return new Map(found.flat());
}
