// One recorded operation of a person at a browser: on our own pages or through the JSON API.
import { AppError } from "../errors.ts";
import type { Room } from "../ledger/record.ts";
import type { Identity } from "../lib/identity.ts";
import { Denied } from "./recorded.ts";
import type { Answered, Call, Recorder } from "./recorded.ts";

/** How records name our own pages, where those of assistants have a client's id. */
export const BROWSER = "browser";

/**
 * One recorded operation of a person at a browser, never of an access token. What takes access away has the room of `revocation`: an
 * attacker who fills a ledger with calls of a stolen token must not keep its owner from revoking it. Errors: `not_allowed` for an access token.
 */
export async function recordedInBrowser<T>(
  record: Recorder,
  identity: Identity,
  operation: string,
  asked: string,
  work: (call: Call) => Promise<T>,
  room: Room = "call",
): Promise<T> {
  return record({ identity, clientId: BROWSER }, { operation, asked, maxRows: 0, slot: null, room }, async (call) => {
    if (identity.token !== undefined)
      throw new Denied(new AppError("not_allowed", "An access token reads data and nothing else."), [], []);
    return nothingRead(await work(call));
  });
}

function nothingRead<T>(answer: T): Answered<T> {
  return { answer, datasets: [], rules: [] };
}
