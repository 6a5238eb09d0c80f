// Makes sure that no request is answered for a sign-in that has ended, although the endpoint may know it from a cache. A call that the
// ledger began is proof enough; every other request asks where the sign-in is stored.
import type { OnSignIn } from "../../lib/sign-in-state.ts";

/** How the endpoint checks the sign-in of one request. */
export interface SignInCheck {
  /** Returns the 401 when the sign-in has ended. Asks where it is stored, at most once. */
  refuseIfEnded(): Promise<Response | undefined>;
  /** Returns the 401 for a sign-in that the ledger knows to have ended. */
  refuse(): Response;
}

/** Follows one request from its receipt to its response. */
export interface SignInWatch {
  /** Receives the state of the sign-in for each call that the request begins. */
  readonly onSignIn: OnSignIn;
  /** Returns the 401 when the sign-in has ended. For requests that act, or send, before or without a call. */
  requireCurrent(): Promise<Response | undefined>;
  /** Returns the response, or the 401 instead of it. */
  guardResponse(response: Response): Promise<Response>;
}

/** The methods whose handlers begin a call. Any other message must not even be handled for a sign-in that has ended. */
const CALLING_METHODS: ReadonlySet<unknown> = new Set([
  "tools/call",
  "resources/read",
  "resources/list",
  "prompts/get",
  "completion/complete",
]);

/** The check of an endpoint whose sign-ins come from no cache. */
export const NO_SIGN_IN_CHECK: SignInCheck = {
  refuseIfEnded: async () => undefined,
  refuse: () => new Response(null, { status: 401 }),
};

/** Whether each message of a body is a request that begins a call, unless its parameters are wrong. */
export function beginsCalls(body: unknown): boolean {
  const messages: readonly unknown[] = Array.isArray(body) ? body : [body];
  return messages.every(
    (message) =>
      typeof message === "object" &&
      message !== null &&
      "id" in message &&
      "method" in message &&
      CALLING_METHODS.has(message.method),
  );
}

/** Creates the watch of one request. */
export function watchSignIn(check: SignInCheck): SignInWatch {
  let hasBegun = false;
  let hasEnded = false;
  return {
    onSignIn(state) {
      if (state === "ended") hasEnded = true;
      else hasBegun = true;
    },
    requireCurrent: () => check.refuseIfEnded(),
    async guardResponse(response) {
      const refusal = hasEnded ? check.refuse() : hasBegun ? undefined : await check.refuseIfEnded();
      if (refusal === undefined) return response;
      await response.body?.cancel();
      return refusal;
    },
  };
}
