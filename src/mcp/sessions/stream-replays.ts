// Decides what a stream delivers again to a client that resumes it: the replay guard checks every answer against the
// current grants of the caller. Live events are delivered without this check.
import type { JSONRPCMessage } from "@modelcontextprotocol/server";
import { parseJSONRPCMessage } from "@modelcontextprotocol/server";
import type { AnswerGrants } from "../../lib/answer-grants.ts";
import { RPC } from "../wire/json-rpc.ts";
import { WITHHELD } from "../wire/replay-guard.ts";
import type { ReplayGuard } from "../wire/replay-guard.ts";
import type { EventLog, LoggedEvent } from "./event-log.ts";
import { isRequest, isResponse } from "./posted-messages.ts";
import type { JSONRPCResponse } from "./posted-messages.ts";
import type { ReplayPass, StreamPosition } from "./session-protocol.ts";
import type { SessionCaller } from "../wire/protocol-caller.ts";

/** The grants that produced an event: empty when they are unknown, null when the event holds no governed data. */
export type EventGrants = readonly AnswerGrants[] | null;

/** Methods whose results hold no governed data. The results of all other methods may. */
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
/** Notifications that only announce a change. */
const DATA_FREE_NOTIFICATIONS: ReadonlySet<string> = new Set([
  "notifications/tools/list_changed",
  "notifications/prompts/list_changed",
  "notifications/resources/list_changed",
  // Names a resource, so `maySubscribe` is checked before it is delivered again.
  RESOURCE_UPDATED,
]);

/** Returns the grants of a response. Denies by default: a result without recorded grants counts as unknown, not as data-free. */
export function getResponseGrants(
  method: string,
  response: JSONRPCResponse,
  recordedGrants: readonly AnswerGrants[],
): EventGrants {
  // A governed call records its grants before it reads, so an error without grants comes from the protocol layer.
  const isDataFree = recordedGrants.length === 0 && ("error" in response || DATA_FREE_METHODS.has(method));
  return isDataFree ? null : recordedGrants;
}

/** Returns the grants of a notification or request of the server. Messages outside a call have no recorded grants. */
export function getMessageGrants(
  { method }: { readonly method: string },
  recordedGrants: readonly AnswerGrants[],
): EventGrants {
  return DATA_FREE_NOTIFICATIONS.has(method) ? null : recordedGrants;
}

/** Authorizes replays of a session's streams. */
export interface ReplayAuthorizer {
  /**
   * Consults the guard about the events after a position up to `untilSeq`, once per set of grant digests, and checks whether
   * the caller may still subscribe to the resources in notifications. Writes nothing, because the session may end meanwhile.
   */
  authorize(position: StreamPosition, untilSeq: number, caller: SessionCaller): Promise<ReplayAuthorization>;
}

/** The result of authorizing a replay. */
interface ReplayAuthorization {
  readonly pass: ReplayPass;
  /** Wire ids of withheld requests of the server, which the client will never answer. */
  readonly withheldRequests: readonly string[];
  /** Notifications about resources the caller may no longer see. They can be deleted, because no request waits for them. */
  readonly unauthorizedSeqs: readonly number[];
}

/** The dependencies of `createReplayAuthorizer`. */
interface ReplaysDependencies {
  readonly log: EventLog;
  readonly guard: ReplayGuard;
  readonly maySubscribe: (caller: SessionCaller, uri: string) => Promise<boolean>;
}

/** Creates the authorizer of a session's replays. */
export function createReplayAuthorizer({ log, guard, maySubscribe }: ReplaysDependencies): ReplayAuthorizer {
  async function listUnauthorizedSeqs(
    events: readonly LoggedEvent[],
    caller: SessionCaller,
  ): Promise<readonly number[]> {
    const byUri = Map.groupBy(
      events.filter(({ grants }) => grants === null),
      ({ message }) => readUpdatedUri(parseEvent(message)),
    );
    const unauthorizedSeqs: number[] = [];
    for (const [uri, updates] of byUri)
      if (uri !== undefined && !(await maySubscribe(caller, uri)))
        unauthorizedSeqs.push(...updates.map(({ seq }) => seq));
    return unauthorizedSeqs;
  }

  return {
    async authorize(position, untilSeq, caller) {
      const events = log.listAfter(position).filter(({ seq }) => seq <= untilSeq);
      const unauthorizedSeqs = await listUnauthorizedSeqs(events, caller);
      const governed = events.filter((event) => event.grants !== null);
      let pass: ReplayPass = { untilSeq, digest: null, reason: "changed" };
      for (const grants of groupByDigests(governed)) {
        const verdict = await guard.authorize(caller.authInfo, { what: `stream ${position.stream}`, grants });
        if (verdict === "current") pass = { ...pass, digest: grants[0]?.digest ?? null };
        if (verdict === "unchecked") pass = { ...pass, reason: "unchecked" };
      }
      const withheld = governed.filter((event) => !isAuthorized(event, pass)).map(({ message }) => parseEvent(message));
      return { pass, withheldRequests: withheld.filter(isRequest).map(({ id }) => String(id)), unauthorizedSeqs };
    },
  };
}

/** Returns what may be delivered of an event under a pass: its message, an error in its place, or nothing. */
export function selectDeliverable(event: LoggedEvent, pass: ReplayPass): string | undefined {
  if (isAuthorized(event, pass)) return event.message;
  const message = parseEvent(event.message);
  // No request waits for a notification, and a withheld request of the server ends its call elsewhere.
  if (!isResponse(message)) return undefined;
  const reason = event.grants?.length === 0 ? "unchecked" : pass.reason;
  const error = { code: RPC.server, message: WITHHELD[reason] };
  return JSON.stringify({ jsonrpc: "2.0", id: message.id, error });
}

function isAuthorized({ seq, grants }: LoggedEvent, { untilSeq, digest: authorizedDigest }: ReplayPass): boolean {
  if (seq > untilSeq || grants === null) return true;
  return grants.length > 0 && grants.every(({ digest }) => digest === authorizedDigest);
}

/** Groups events by their set of digests, which share one verdict, and returns the distinct grants of each group. */
function groupByDigests(events: readonly LoggedEvent[]): readonly (readonly AnswerGrants[])[] {
  const groups = Map.groupBy(events, ({ grants }) =>
    JSON.stringify([...new Set((grants ?? []).map(({ digest }) => digest))].toSorted()),
  );
  return [...groups.values()].map((group) => {
    const allGrants = group.flatMap(({ grants }) => grants ?? []);
    return [...new Map(allGrants.map((grant) => [JSON.stringify(grant), grant])).values()];
  });
}

/** Returns the URI in a resource update notification; undefined for other messages. */
function readUpdatedUri(message: JSONRPCMessage): string | undefined {
  if (!("method" in message) || message.method !== RESOURCE_UPDATED) return undefined;
  const uri = message.params?.["uri"];
  return typeof uri === "string" ? uri : "";
}

function parseEvent(message: string): JSONRPCMessage {
  return parseJSONRPCMessage(JSON.parse(message));
}
