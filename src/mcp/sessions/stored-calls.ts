// Recovers stored calls after a restart or hibernation. A call that asked the user something resumes once it has every
// answer; a call that asked nothing ends with an error, because it may or may not have done its work.
import type { JSONRPCRequest, RequestId } from "@modelcontextprotocol/server";
import type { Exchange } from "./request-exchange.ts";
import { CANCELLED_MESSAGE } from "./server-instance.ts";
import type { ServerInstance } from "./server-instance.ts";
import { isRequest } from "./posted-messages.ts";
import { getCallId, withCallId } from "./session-protocol.ts";
import type { SessionCaller } from "../wire/protocol-caller.ts";
import type { ServerRequest, SessionStore } from "./session-store.ts";

/** The stored calls of a session whose answers go out on streams. */
export interface StoredCalls {
  /** Ends the calls that were interrupted and had asked the user nothing. Their outcome is unknown. */
  endInterrupted(): void;
  /** Whether a call asked the user something. It waits for the answer, or has it and resumes when its client reconnects. */
  hasAsking(): boolean;
  /** Whether a call has all its answers and can resume. */
  canResume(): boolean;
  /**
   * Runs the calls that have all their answers again from the start. They run for the current caller, because the stored
   * sign-in may have had groups that this one lacks. Questions they asked before are answered from the store.
   */
  resume(instance: ServerInstance, caller: SessionCaller): void;
  /** Resumes the call of one server request if the call has all its answers now. */
  resumeAfter(serverRequest: ServerRequest, instance: ServerInstance, caller: SessionCaller): void;
  /** Ends the stored call that waits for a server request. */
  endWaitingCall(serverRequest: ServerRequest, message: string): void;
  /** Cancels a stored call that is not running in memory. */
  cancel(id: RequestId | undefined, instance: ServerInstance): void;
}

const INTERRUPTED =
  "The call was interrupted by a restart, so its outcome is unknown. Check whether it took effect before you repeat it.";

interface StoredRequestCall {
  readonly stream: number;
  readonly request: JSONRPCRequest;
  readonly caller: SessionCaller;
}

/** Creates access to the stored calls. `createExchange` builds the exchange for the calls of a stream. */
export function createStoredCalls(
  store: SessionStore,
  createExchange: (stream: number, requests: readonly JSONRPCRequest[], caller: SessionCaller) => Exchange,
): StoredCalls {
  const listCalls = (): readonly StoredRequestCall[] =>
    store
      .listCalls()
      .flatMap(({ stream, message, caller }) => (isRequest(message) ? [{ stream, request: message, caller }] : []));

  const isAnswered = ({ stream, request }: StoredRequestCall): boolean => {
    const serverRequests = store.listServerRequests(stream, request.id);
    return serverRequests.length > 0 && serverRequests.every(({ answer }) => answer !== null);
  };

  const failCall = ({ stream, request, caller }: StoredRequestCall, message: string): void =>
    createExchange(stream, [request], caller).respond(request.id, {
      jsonrpc: "2.0",
      id: request.id,
      error: { code: -32000, message },
    });

  const rerunCalls = (
    readyCalls: readonly StoredRequestCall[],
    instance: ServerInstance,
    caller: SessionCaller,
  ): void => {
    for (const { stream, caller: storedCaller } of new Map(readyCalls.map((call) => [call.stream, call])).values()) {
      if (instance.isRunning(stream)) continue;
      const requests = readyCalls.filter((call) => call.stream === stream).map((call) => call.request);
      instance.start(createExchange(stream, requests, withCallId(caller, getCallId(storedCaller))), requests);
    }
  };

  return {
    endInterrupted() {
      for (const call of listCalls())
        if (store.listServerRequests(call.stream, call.request.id).length === 0) failCall(call, INTERRUPTED);
    },
    hasAsking: () => listCalls().some(({ stream, request }) => store.listServerRequests(stream, request.id).length > 0),
    canResume: () => listCalls().some(isAnswered),
    resume: (instance, caller) => rerunCalls(listCalls().filter(isAnswered), instance, caller),
    resumeAfter({ stream, requestId }, instance, caller) {
      rerunCalls(
        listCalls().filter((call) => call.stream === stream && call.request.id === requestId && isAnswered(call)),
        instance,
        caller,
      );
    },
    endWaitingCall({ stream, requestId }, message) {
      const waitingCall = listCalls().find((call) => call.stream === stream && call.request.id === requestId);
      if (waitingCall !== undefined) failCall(waitingCall, message);
    },
    cancel(id, instance) {
      const call = listCalls().find(({ stream, request }) => request.id === id && !instance.isRunning(stream));
      if (call !== undefined) failCall(call, CANCELLED_MESSAGE);
    },
  };
}
