// What a stream delivers again to a client that comes back to it: every answer passes the guard first, under the grants of the
// caller who comes. Live delivery, of an event that is made now, is no replay.
import type { JSONRPCMessage } from "@modelcontextprotocol/server";
import { parseJSONRPCMessage } from "@modelcontextprotocol/server";
import type { AnswerGrants } from "../lib/answer-grants.ts";
import { RPC } from "../mcp/json-rpc.ts";
import { WITHHELD } from "../mcp/replay.ts";
import type { ReplayGuard } from "../mcp/replay.ts";
import type { EventLog, LoggedEvent } from "./event-log.ts";
import { isRequest, isResponse } from "./messages.ts";
import type { JSONRPCResponse } from "./messages.ts";
import type { ReplayPass, StreamPosition } from "./protocol.ts";
import type { SessionCaller } from "../mcp/protocol-caller.ts";

/** Under which grants an event was made: empty when that is not known, null when it holds nothing that grants decide. */
export type EventGrants = readonly AnswerGrants[] | null;

/** Methods whose results are the same for every caller. All others may hold data. */
const DATA_FREE_METHODS: ReadonlySet<string> = new Set([
  "ping",
  "tools/list",
  "prompts/list",
  "resources/templates/list",
  "resources/subscribe",
  "resources/unsubscribe",
  "logging/setLevel",
]);
const RESOURCE_UPDATED = "notifications/resources/updated";
/** Notifications that say nothing but that something is other than before. */
const DATA_FREE_NOTIFICATIONS: ReadonlySet<string> = new Set([
  "notifications/tools/list_changed",
  "notifications/prompts/list_changed",
  "notifications/resources/list_changed",
  // Names a resource: whether the caller may still hear of it is asked when it is delivered again.
  RESOURCE_UPDATED,
]);

/** The grants of a response. Default deny: a result without a note is never taken for one that holds no data. */
export function grantsOfResponse(
  method: string,
  response: JSONRPCResponse,
  noted: readonly AnswerGrants[],
): EventGrants {
  // A governed call notes its grants before it reads, so an error without a note comes from the protocol layer.
  const holdsNothing = noted.length === 0 && ("error" in response || DATA_FREE_METHODS.has(method));
  return holdsNothing ? null : noted;
}

/** The grants of a notification or a request of ours; of what belongs to no call, nothing is noted. */
export function grantsOfMessage({ method }: { readonly method: string }, noted: readonly AnswerGrants[]): EventGrants {
  return DATA_FREE_NOTIFICATIONS.has(method) ? null : noted;
}

export interface Replays {
  /**
   * Asks the guard, once for each digest, about what would be delivered again: after a position, up to the event `until`. Asks
   * whether the caller may still hear of the resources that notifications name. Writes nothing: the session may be gone by then.
   */
  clear(position: StreamPosition, until: number, caller: SessionCaller): Promise<ClearedReplay>;
}

export interface ClearedReplay {
  readonly pass: ReplayPass;
  /** Requests of ours that are withheld, by their ids on the wire: no client will answer them. */
  readonly withheldRequests: readonly string[];
  /** Events that the caller may not hear of any more, to be forgotten: no request waits for them. */
  readonly unheard: readonly number[];
}

export interface ReplaysDependencies {
  readonly log: EventLog;
  readonly guard: ReplayGuard;
  readonly maySubscribe: (caller: SessionCaller, uri: string) => Promise<boolean>;
}

export function createReplays({ log, guard, maySubscribe }: ReplaysDependencies): Replays {
  async function listUnheard(events: readonly LoggedEvent[], caller: SessionCaller): Promise<readonly number[]> {
    const byUri = Map.groupBy(
      events.filter(({ grants }) => grants === null),
      ({ message }) => updatedUri(parseEvent(message)),
    );
    const unheard: number[] = [];
    for (const [uri, updates] of byUri)
      if (uri !== undefined && !(await maySubscribe(caller, uri))) unheard.push(...updates.map(({ seq }) => seq));
    return unheard;
  }

  return {
    async clear(position, until, caller) {
      const events = log.after(position).filter(({ seq }) => seq <= until);
      const unheard = await listUnheard(events, caller);
      const governed = events.filter((event) => event.grants !== null);
      let pass: ReplayPass = { until, digest: null, reason: "changed" };
      for (const grants of groupByDigests(governed)) {
        const verdict = await guard.authorize(caller.authInfo, { what: `stream ${position.stream}`, grants });
        if (verdict === "current") pass = { ...pass, digest: grants[0]?.digest ?? null };
        if (verdict === "unchecked") pass = { ...pass, reason: "unchecked" };
      }
      const withheld = governed.filter((event) => !isCleared(event, pass)).map(({ message }) => parseEvent(message));
      return { pass, withheldRequests: withheld.filter(isRequest).map(({ id }) => String(id)), unheard };
    },
  };
}

/** What of an event may leave under a pass: its message, an error in its place, or nothing. */
export function deliverable(event: LoggedEvent, pass: ReplayPass): string | undefined {
  if (isCleared(event, pass)) return event.message;
  const message = parseEvent(event.message);
  // No request waits for a notification; a request of ours that is withheld ends the call that it belongs to.
  if (!isResponse(message)) return undefined;
  const reason = event.grants?.length === 0 ? "unchecked" : pass.reason;
  const error = { code: RPC.server, message: WITHHELD[reason] };
  return JSON.stringify({ jsonrpc: "2.0", id: message.id, error });
}

function isCleared({ seq, grants }: LoggedEvent, { until, digest: cleared }: ReplayPass): boolean {
  if (seq > until || grants === null) return true;
  return grants.length > 0 && grants.every(({ digest }) => digest === cleared);
}

/** The grants of events that stand and fall together: those of the same digests, each call once. */
function groupByDigests(events: readonly LoggedEvent[]): readonly (readonly AnswerGrants[])[] {
  const groups = Map.groupBy(events, ({ grants }) =>
    JSON.stringify([...new Set((grants ?? []).map(({ digest }) => digest))].toSorted()),
  );
  return [...groups.values()].map((group) => {
    const all = group.flatMap(({ grants }) => grants ?? []);
    return [...new Map(all.map((one) => [JSON.stringify(one), one])).values()];
  });
}

/** The resource that a notification says was updated. */
function updatedUri(message: JSONRPCMessage): string | undefined {
  if (!("method" in message) || message.method !== RESOURCE_UPDATED) return undefined;
  const uri = message.params?.["uri"];
  return typeof uri === "string" ? uri : "";
}

function parseEvent(message: string): JSONRPCMessage {
  return parseJSONRPCMessage(JSON.parse(message));
}
