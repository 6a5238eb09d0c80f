// The sign-in of a deployment that has no sign-in method yet: it refuses every user with an explanation.
import type { SignIn } from "./sign-in.ts";

const REFUSAL = "This server has no sign-in method yet. Its operator has to set GATEHOUSE_SIGN_IN.";

/** Creates the sign-in that refuses every user. */
export function createNoSignIn(): SignIn {
  return {
    findRefusal: () => REFUSAL,
    start: async () => ({
      data: null,
      next: async () => ({ page: { title: "Sign-in is not set up", body: REFUSAL } }),
    }),
    finish: async () => ({ refused: REFUSAL }),
    // Not "ended": existing connections work again when the operator restores the sign-in method.
    renew: async () => ({ kind: "unavailable", reason: "GATEHOUSE_SIGN_IN is none" }),
  };
}
