// The sign-in that the settings choose.
import type { Member } from "../policy/model.ts";
import { createAccessSignIn } from "./access.ts";
import { createGitHubSignIn } from "./github.ts";
import { createNoSignIn } from "./no-sign-in.ts";
import { createOidcSignIn } from "./oidc.ts";
import { createSampleSignIn } from "./sample.tsx";
import type { SignInSettings } from "./settings.ts";
import type { SignIn, SignInParts } from "./sign-in.ts";

export interface SignInOptions extends SignInParts<SignInSettings> {
  /** The people of the policy file, whom the sample sign-in offers. */
  readonly members: readonly Member[];
}

export function createSignIn({ settings, members, ...rest }: SignInOptions): SignIn {
  switch (settings.method) {
    case "none":
      return createNoSignIn();
    case "sample":
      return createSampleSignIn({ members });
    case "oidc":
      return createOidcSignIn({ settings, ...rest });
    case "github":
      return createGitHubSignIn({ settings, ...rest });
    case "access":
      return createAccessSignIn({ settings, ...rest });
  }
}
