// What travels between the Worker and a session's object. Plain data: it crosses by RPC; streams cross by WebSocket.
import type { SubscribedSession } from "../hub/protocol.ts";
import type { SessionCaller } from "../mcp/protocol-caller.ts";

/** Where to attach: events of this stream with a higher number than `after`. */
export interface StreamPosition {
  readonly stream: number;
  readonly after: number;
}

/**
 * What of the events after a position may leave: up to `until` they are delivered again, and those that grants decided only if
 * all their grants have this digest; later ones are live.
 */
export interface ReplayPass {
  readonly until: number;
  /** Null when no event passed the guard. */
  readonly digest: string | null;
  /** Why the others are withheld. */
  readonly reason: "changed" | "unchecked";
}

/** The pass of a stream that delivers nothing again: all that comes after a position is live. */
export function liveAfter(after: number): ReplayPass {
  return { until: after, digest: null, reason: "changed" };
}

/** What to attach to, and what of it may leave. */
export interface Attachment extends StreamPosition {
  readonly pass: ReplayPass;
}

export type SessionReply =
  /** The answer to `initialize`, and the session now exists. */
  | { readonly kind: "opened"; readonly body: string }
  /** A JSON body to answer with: one message, or an array for a batch. */
  | { readonly kind: "answer"; readonly body: string }
  /** The answer comes as events of a stream. */
  | ({ readonly kind: "stream" } & Attachment)
  /** Notifications and responses were taken; there is nothing to say. */
  | { readonly kind: "accepted" }
  /** No such session for this caller: unknown, ended, expired or somebody else's. */
  | { readonly kind: "gone" }
  /** The messages cannot be taken like this. */
  | { readonly kind: "refused"; readonly message: string }
  /** A limit of the deployment is reached. `retryAfterSeconds` is null when waiting does not help. */
  | { readonly kind: "busy"; readonly message: string; readonly retryAfterSeconds: number | null };

/** What a call that takes long may become: `json` for clients that do not say that they read event streams. */
export type AnswerForm = "any" | "json";

/** The object's face. Messages cross as the JSON that came in; `caller` as JSON too, see `packCaller`. */
export interface SessionRpc extends SubscribedSession {
  /** Creates the session with its `initialize` request. The answer may be an error; then nothing was kept. */
  open(body: string, caller: string): Promise<SessionReply>;
  /** Any other message, or a batch. */
  post(body: string, caller: string, form: AnswerForm): Promise<SessionReply>;
  /** Opens the stream of messages that belong to no request, or goes on after an event of any stream. */
  listen(lastEventId: string | null, caller: string): Promise<SessionReply>;
  end(caller: string): Promise<SessionReply>;
}

export type SessionNamespace = DurableObjectNamespace<SessionRpc & Rpc.DurableObjectBranded>;

/** Revisions from this one on know polling: an empty first event, and `retry`. */
export const FIRST_WITH_POLLING = "2025-11-25";
/** From this revision on, JSON-RPC batches are no part of the protocol. */
export const FIRST_WITHOUT_BATCHES = "2025-06-18";

const ATTACH_ORIGIN = "https://session";

/** The URL that attaches a WebSocket to a stream; only the Worker of this deployment can send it. */
export function attachUrl({ stream, after, pass }: Attachment): string {
  const { until, digest, reason } = pass;
  const query = { stream: `${stream}`, after: `${after}`, until: `${until}`, reason };
  const parameters = new URLSearchParams(digest === null ? query : { ...query, digest });
  return `${ATTACH_ORIGIN}/attach?${parameters.toString()}`;
}

export function parseAttachUrl(url: string): Attachment {
  const { searchParams } = new URL(url);
  const number = (name: string): number => Number(searchParams.get(name));
  const reason = searchParams.get("reason") === "unchecked" ? "unchecked" : "changed";
  const pass: ReplayPass = { until: number("until"), digest: searchParams.get("digest"), reason };
  return { stream: number("stream"), after: number("after"), pass };
}

/** Event ids on the wire: the stream, and the event's number in the session. */
export function eventId({ stream, after }: StreamPosition): string {
  return `${stream}-${after}`;
}

/** Undefined when it is no id of ours. */
export function parseEventId(text: string): StreamPosition | undefined {
  const match = /^([0-9]{1,15})-([0-9]{1,15})$/.exec(text);
  return match === null ? undefined : { stream: Number(match[1]), after: Number(match[2]) };
}

/** A caller as text for RPC, whose types know nothing as open as `AuthInfo`. */
export function packCaller(caller: SessionCaller): string {
  return JSON.stringify(caller);
}

/** The reverse, in the object: what was packed by the Worker of the same deployment is taken at its word. */
export function unpackCaller(packed: string): SessionCaller {
  const caller: SessionCaller = JSON.parse(packed);
  return caller;
}

/** The id that `withCallId` gave to a call. Empty when it has none. */
export function callIdOf({ authInfo }: SessionCaller): string {
  const call = authInfo.extra?.["call"];
  return typeof call === "string" ? call : "";
}

/**
 * The caller of one POST, whose handlers find `call` in `authInfo.extra`: the same text when a call is entered again after
 * a restart, so that what they did before can be told from what is new.
 */
export function withCallId(caller: SessionCaller, call: string): SessionCaller {
  return { ...caller, authInfo: { ...caller.authInfo, extra: { ...caller.authInfo.extra, call } } };
}
