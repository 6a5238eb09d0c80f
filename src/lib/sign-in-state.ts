// Whether the caller's sign-in had ended when a call began, on its way from the gateway, which learns it from the ledger, to the code that
// answers the HTTP request. It travels in the caller object, so that no tool error can hide it and it cannot reach the wire.

/** `current`: the ledger began a call with this sign-in. `ended`: it refused one, because the sign-in has ended. */
export type SignInState = "current" | "ended";

/** Receives the state of the caller's sign-in for each of its calls. */
export type OnSignIn = (state: SignInState) => void;

interface CallerInfo {
  readonly extra?: Record<string, unknown>;
}

const LISTENER_KEY = "noteSignIn";

/** Returns the caller with a listener for the state of its sign-in. The listener is a function, so JSON drops it. */
export function withSignInListener<Info extends CallerInfo>(info: Info, onSignIn: OnSignIn): Info {
  return { ...info, extra: { ...info.extra, [LISTENER_KEY]: onSignIn } };
}

/** Finds the listener; undefined where there is none. */
export function getSignInListener({ extra }: CallerInfo): OnSignIn | undefined {
  const listener = extra?.[LISTENER_KEY];
  return typeof listener === "function" ? (state) => void listener(state) : undefined;
}
