// Wraps a sign-in and reports each user who signs in, before any of their pages or clients is served. What depends on a first sign-in,
// such as the end of setup, must not wait for the user's first call.
import type { Identity } from "../lib/identity.ts";
import type { SignIn, SignedIn } from "./sign-in.ts";
import { deriveIdentity } from "./verified-identity.ts";

/** Returns the same sign-in, which awaits `onSignedIn` with the identity after each sign-in and renewal. `onSignedIn` must not throw. */
export function observeSignIns(signIn: SignIn, onSignedIn: (identity: Identity) => Promise<void>): SignIn {
  const notifyObserver = async ({ claims }: SignedIn): Promise<void> => onSignedIn(await deriveIdentity(claims));
  return {
    ...signIn,
    async finish(request, data) {
      const result = await signIn.finish(request, data);
      if (!("refused" in result)) await notifyObserver(result);
      return result;
    },
    async renew(renewal) {
      const renewed = await signIn.renew(renewal);
      if (renewed.kind === "current") await notifyObserver(renewed.signedIn);
      return renewed;
    },
  };
}
