// Calls whose answers go out on streams, as the store has them: what becomes of those that memory has lost. A call that
// asked a person something goes on where it stood; one that asked nothing is told that its outcome is unknown.
import type { JSONRPCRequest, RequestId } from "@modelcontextprotocol/server";
import type { Exchange } from "./exchange.ts";
import { CANCELLED } from "./live.ts";
import type { Live } from "./live.ts";
import { isRequest } from "./messages.ts";
import type { SessionCaller } from "./protocol.ts";
import type { PushedRequest, SessionStore } from "./store.ts";

export interface StoredCalls {
  /** Ends the calls that were cut off and had asked nobody anything: they may have done their work, or not. */
  endInterrupted(): void;
  /** Whether a call has all its answers and can go on. */
  canResume(): boolean;
  /** Runs the calls that can go on, again from their start; what they asked before is answered from the store. */
  resume(live: Live): void;
  /** The same for the call of one pushed request, if that was the last answer it waited for. */
  resumeAfter(pushed: PushedRequest, live: Live): void;
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

  const reenter = (ready: readonly Call[], live: Live): void => {
    for (const { stream, caller } of new Map(ready.map((call) => [call.stream, call])).values()) {
      if (live.isRunning(stream)) continue;
      const requests = ready.filter((call) => call.stream === stream).map((call) => call.request);
      live.start(exchangeOn(stream, requests, caller), requests);
    }
  };

  return {
    endInterrupted() {
      for (const call of calls()) if (store.pushed(call.stream, call.request.id).length === 0) end(call, INTERRUPTED);
    },
    canResume: () => calls().some(isAnswered),
    resume: (live) => reenter(calls().filter(isAnswered), live),
    resumeAfter({ stream, requestId }, live) {
      reenter(
        calls().filter((call) => call.stream === stream && call.request.id === requestId && isAnswered(call)),
        live,
      );
    },
    cancel(id, live) {
      const call = calls().find(({ stream, request }) => request.id === id && !live.isRunning(stream));
      if (call !== undefined) end(call, CANCELLED);
    },
  };
}
