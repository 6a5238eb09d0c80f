// Calls whose answers go out on streams, as the store has them: what becomes of those that memory has lost. A call that
// asked a person something goes on where it stood; one that asked nothing is told that its outcome is unknown.
import type { JSONRPCRequest, RequestId } from "@modelcontextprotocol/server";
import type { Exchange } from "./exchange.ts";
import { CANCELLED } from "./live.ts";
import type { Live } from "./live.ts";
import { isRequest } from "./messages.ts";
import { callIdOf, withCallId } from "./protocol.ts";
import type { SessionCaller } from "../mcp/protocol-caller.ts";
import type { PushedRequest, SessionStore } from "./store.ts";

export interface StoredCalls {
  /** Ends the calls that were cut off and had asked nobody anything: they may have done their work, or not. */
  endInterrupted(): void;
  /** Whether a call asked a person something: it waits for the answer, or has it and goes on when its client comes back. */
  hasAsking(): boolean;
  /** Whether a call has all its answers and can go on. */
  canResume(): boolean;
  /**
   * Runs the calls that can go on, again from their start and for the caller who is here now: the sign-in that is stored with
   * them may have had groups that this one lacks. What they asked before is answered from the store.
   */
  resume(live: Live, caller: SessionCaller): void;
  /** The same for the call of one pushed request, if that was the last answer it waited for. */
  resumeAfter(pushed: PushedRequest, live: Live, caller: SessionCaller): void;
  /** Ends the call of a pushed request, if it still waits for that. */
  endAsked(pushed: PushedRequest, message: string): void;
  /** Ends a call that is not in memory because it waits for a person. */
  cancel(id: RequestId | undefined, live: Live): void;
}

const INTERRUPTED = "The call was interrupted by a restart; its outcome is unknown. Check before you repeat it.";

interface Call {
  readonly stream: number;
  readonly request: JSONRPCRequest;
  readonly caller: SessionCaller;
}

/** `exchangeOn` builds the exchange of calls that are stored under a stream. */
export function createStoredCalls(
  store: SessionStore,
  exchangeOn: (stream: number, requests: readonly JSONRPCRequest[], caller: SessionCaller) => Exchange,
): StoredCalls {
  const calls = (): readonly Call[] =>
    store
      .calls()
      .flatMap(({ stream, message, caller }) => (isRequest(message) ? [{ stream, request: message, caller }] : []));

  const isAnswered = ({ stream, request }: Call): boolean => {
    const pushed = store.pushed(stream, request.id);
    return pushed.length > 0 && pushed.every(({ answer }) => answer !== null);
  };

  const end = ({ stream, request, caller }: Call, message: string): void =>
    exchangeOn(stream, [request], caller).respond(request.id, {
      jsonrpc: "2.0",
      id: request.id,
      error: { code: -32000, message },
    });

  const reenter = (ready: readonly Call[], live: Live, caller: SessionCaller): void => {
    for (const { stream, caller: stored } of new Map(ready.map((call) => [call.stream, call])).values()) {
      if (live.isRunning(stream)) continue;
      const requests = ready.filter((call) => call.stream === stream).map((call) => call.request);
      live.start(exchangeOn(stream, requests, withCallId(caller, callIdOf(stored))), requests);
    }
  };

  return {
    endInterrupted() {
      for (const call of calls()) if (store.pushed(call.stream, call.request.id).length === 0) end(call, INTERRUPTED);
    },
    hasAsking: () => calls().some(({ stream, request }) => store.pushed(stream, request.id).length > 0),
    canResume: () => calls().some(isAnswered),
    resume: (live, caller) => reenter(calls().filter(isAnswered), live, caller),
    resumeAfter({ stream, requestId }, live, caller) {
      reenter(
        calls().filter((call) => call.stream === stream && call.request.id === requestId && isAnswered(call)),
        live,
        caller,
      );
    },
    endAsked({ stream, requestId }, message) {
      const asked = calls().find((call) => call.stream === stream && call.request.id === requestId);
      if (asked !== undefined) end(asked, message);
    },
    cancel(id, live) {
      const call = calls().find(({ stream, request }) => request.id === id && !live.isRunning(stream));
      if (call !== undefined) end(call, CANCELLED);
    },
  };
}
