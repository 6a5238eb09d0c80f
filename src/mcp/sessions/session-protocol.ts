// The messages between the Worker and a session object: plain data over RPC, and streams over WebSocket.
import type { SubscribedSession } from "../subscriptions/hub-protocol.ts";
import type { SessionCaller } from "../wire/protocol-caller.ts";
import type { WithheldReason } from "../wire/replay-guard.ts";
import { readCall, withCall, withoutCall } from "../wire/call-id.ts";

/** A position in a stream: the events with a sequence number greater than `afterSeq` follow. */
export interface StreamPosition {
  readonly stream: number;
  readonly afterSeq: number;
}

/**
 * Limits what a stream delivers after a position. Events up to `untilSeq` are replays: governed ones are delivered only if all
 * their grants have this digest. Later events are live.
 */
export interface ReplayPass {
  readonly untilSeq: number;
  /** Null when the guard allowed no governed event. */
  readonly digest: string | null;
  /** Why the other events are withheld. */
  readonly reason: WithheldReason;
}

/** Creates the pass of a stream without replays: all events after `afterSeq` are live. */
export function createLivePass(afterSeq: number): ReplayPass {
  return { untilSeq: afterSeq, digest: null, reason: "changed" };
}

/** The stream position to attach to, and what may be delivered from there. */
export interface Attachment extends StreamPosition {
  readonly pass: ReplayPass;
}

/** The reply whose response comes as events of a stream. */
export interface StreamReply extends Attachment {
  readonly kind: "stream";
}

/** The session object's reply to an HTTP request. */
export type SessionReply =
  /** The session was created; `body` is the response to `initialize`. */
  | { readonly kind: "opened"; readonly body: string }
  /** The JSON response: one message, or an array for a batch. `hasBegun`: a call of it began, so the caller's sign-in is current. */
  | { readonly kind: "answer"; readonly body: string; readonly hasBegun: boolean }
  /** A call could not begin, because the caller's sign-in has ended. */
  | { readonly kind: "signed_out" }
  | StreamReply
  /** Notifications and responses were accepted; the response has no body. */
  | { readonly kind: "accepted" }
  /** This caller has no such session: it is unknown, ended, expired or belongs to another caller. */
  | { readonly kind: "gone" }
  /** The messages are invalid in this session. */
  | { readonly kind: "refused"; readonly message: string }
  /** A limit of the deployment is reached. `retryAfterSeconds` is null when waiting does not help. */
  | { readonly kind: "busy"; readonly message: string; readonly retryAfterSeconds: number | null };

/** How a long call may be answered. `json` is for clients that do not declare that they read event streams. */
export type ResponseFormat = "any" | "json";

/** The RPC methods of a session object. Messages are passed as the client's JSON, and callers by `serializeCaller`. */
export interface SessionRpc extends SubscribedSession {
  /** Creates the session from its `initialize` request. If the response is an error, no session is stored. */
  open(body: string, caller: string): Promise<SessionReply>;
  /** Handles any other message, or a batch. */
  post(body: string, caller: string, format: ResponseFormat): Promise<SessionReply>;
  /** Opens the stream of messages outside requests, or resumes any stream after an event. */
  openStream(lastEventId: string | null, caller: string): Promise<SessionReply>;
  end(caller: string): Promise<SessionReply>;
}

/** The namespace of the session objects. */
export type SessionNamespace = DurableObjectNamespace<SessionRpc & Rpc.DurableObjectBranded>;

/** The stub of one session object. */
export type SessionStub = DurableObjectStub<SessionRpc & Rpc.DurableObjectBranded>;

/** The first revision with polling: an empty first event, and `retry`. */
export const FIRST_WITH_POLLING = "2025-11-25";
/** The first revision without JSON-RPC batches. */
export const FIRST_WITHOUT_BATCHES = "2025-06-18";

const ATTACH_ORIGIN = "https://session";

/** Builds the URL that attaches a WebSocket to a stream. Only the Worker of this deployment can send it. */
export function buildAttachUrl({ stream, afterSeq, pass }: Attachment): string {
  const { untilSeq, digest, reason } = pass;
  const query = { stream: `${stream}`, after: `${afterSeq}`, until: `${untilSeq}`, reason };
  const parameters = new URLSearchParams(digest === null ? query : { ...query, digest });
  return `${ATTACH_ORIGIN}/attach?${parameters.toString()}`;
}

/** Parses a URL from `buildAttachUrl`. */
export function parseAttachUrl(url: string): Attachment {
  const { searchParams } = new URL(url);
  const readNumber = (name: string): number => Number(searchParams.get(name));
  const reason = searchParams.get("reason") === "unchecked" ? "unchecked" : "changed";
  const pass: ReplayPass = { untilSeq: readNumber("until"), digest: searchParams.get("digest"), reason };
  return { stream: readNumber("stream"), afterSeq: readNumber("after"), pass };
}

/** Formats the id of an SSE event: the stream, and the event's sequence number. */
export function formatEventId({ stream, afterSeq }: StreamPosition): string {
  return `${stream}-${afterSeq}`;
}

/** Parses an SSE event id. Undefined when this server cannot have issued it. */
export function parseEventId(text: string): StreamPosition | undefined {
  const match = /^([0-9]{1,15})-([0-9]{1,15})$/.exec(text);
  return match === null ? undefined : { stream: Number(match[1]), afterSeq: Number(match[2]) };
}

/** Serializes a caller for RPC, whose types cannot express the open shape of `AuthInfo`. */
export function serializeCaller(caller: SessionCaller): string {
  return JSON.stringify(caller);
}

/** Parses a caller from `serializeCaller`. Trusts it, because only the Worker of the same deployment calls the object. */
export function parseCaller(serialized: string): SessionCaller {
  const caller: SessionCaller = JSON.parse(serialized);
  return caller;
}

/**
 * Returns what two requests of the same sign-in have in common: the caller without the id of the call and without the access token, which
 * a refresh replaces.
 */
export function identifySignIn({ authInfo, ...caller }: SessionCaller): string {
  const { grant: _grant, ...extra } = withoutCall(authInfo.extra);
  return JSON.stringify({ ...caller, authInfo: { ...authInfo, extra } });
}

/** Returns the call id set by `withCallId`; empty when there is none. */
export function getCallId({ authInfo }: SessionCaller): string {
  return readCall(authInfo) ?? "";
}

/**
 * Returns the caller of one POST with a call id in `authInfo.extra`. A call that runs again after a restart has the same id, so
 * that its handlers recognise what they did before.
 */
export function withCallId(caller: SessionCaller, callId: string): SessionCaller {
  return { ...caller, authInfo: withCall(caller.authInfo, callId) };
}
