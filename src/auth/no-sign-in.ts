// The sign-in of a deployment that has not chosen one yet: says so, and lets nobody in.
import type { SignIn } from "./sign-in.ts";

const REFUSAL = "This server has no sign-in method yet. Whoever runs it sets GATEHOUSE_SIGN_IN.";

export function createNoSignIn(): SignIn {
  return {
    refusal: () => REFUSAL,
    start: async () => ({ data: null, next: async () => ({ page: { title: "Nobody can sign in", body: REFUSAL } }) }),
    finish: async () => ({ refused: REFUSAL }),
    // Whoever was signed in before stays so, should the method come back.
    renew: async () => ({ kind: "unavailable", reason: "GATEHOUSE_SIGN_IN is none" }),
  };
}
