// What travels between the Worker and a session's object. Plain data: it crosses by RPC.
import type { AuthInfo } from "@modelcontextprotocol/server";

export interface SessionCaller {
  readonly subjectId: string;
  readonly authInfo: AuthInfo;
}

export type SessionReply =
  /** The answer to `initialize`, and the session now exists. */
  | { readonly kind: "opened"; readonly body: string }
  /** A JSON body to answer with: one message, or an array for a batch. */
  | { readonly kind: "answer"; readonly body: string }
  /** Notifications and responses were taken; there is nothing to say. */
  | { readonly kind: "accepted" }
  /** No such session for this caller: unknown, ended, expired or somebody else's. */
  | { readonly kind: "gone" }
  /** The messages cannot be taken like this. */
  | { readonly kind: "refused"; readonly message: string };

/** The object's face. Messages cross as the JSON that came in; `caller` as JSON too, see `packCaller`. */
export interface SessionRpc {
  /** Creates the session with its `initialize` request. The answer may be an error; then nothing was kept. */
  open(body: string, caller: string): Promise<SessionReply>;
  /** Any other message, or a batch. */
  post(body: string, caller: string): Promise<SessionReply>;
  end(caller: string): Promise<SessionReply>;
}

export type SessionNamespace = DurableObjectNamespace<SessionRpc & Rpc.DurableObjectBranded>;

/** A caller as text for RPC, whose types know nothing as open as `AuthInfo`. */
export function packCaller(caller: SessionCaller): string {
  return JSON.stringify(caller);
}

/** The reverse, in the object: what was packed by the Worker of the same deployment is taken at its word. */
export function unpackCaller(packed: string): SessionCaller {
  const caller: SessionCaller = JSON.parse(packed);
  return caller;
}
