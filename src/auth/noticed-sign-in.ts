// A sign-in that says who has come, before any page or client of theirs is served: whatever hangs on a person having signed in
// once (set-up is over) must not wait for their first call.
import type { Identity } from "../lib/identity.ts";
import type { SignIn, SignedIn } from "./sign-in.ts";
import { identityOf } from "./subject.ts";

/** The same sign-in; `onSignedIn` sees each identity as the provider tells it, also at a renewal. It must not throw. */
export function noticeSignIns(signIn: SignIn, onSignedIn: (identity: Identity) => Promise<void>): SignIn {
  const notice = async ({ claims }: SignedIn): Promise<void> => onSignedIn(await identityOf(claims));
  return {
    ...signIn,
    async finish(request, data) {
      const end = await signIn.finish(request, data);
      if (!("refused" in end)) await notice(end);
      return end;
    },
    async renew(renewal) {
      const renewed = await signIn.renew(renewal);
      if (renewed.kind === "current") await notice(renewed.signedIn);
      return renewed;
    },
  };
}
