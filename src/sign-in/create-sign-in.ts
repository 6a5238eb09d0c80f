// Chooses the sign-in method by the settings; the only file that knows all of them.
import { createCloudflareAccessSignIn } from "./cloudflare-access.ts";
import { createGitHubSignIn } from "./github.ts";
import { createNoSignIn } from "./no-sign-in.ts";
import { createOidcSignIn } from "./oidc.ts";
import { createSampleSignIn } from "./sample-sign-in.tsx";
import type { SampleAccounts } from "./sample-sign-in.tsx";
import type { SignInSettings } from "./sign-in-settings.ts";
import type { SignIn, SignInDependencies } from "./sign-in.ts";

interface SignInOptions extends SignInDependencies<SignInSettings>, SampleAccounts {}

/** Creates the sign-in of the configured method. */
export function createSignIn({ settings, members, listTableMembers, ...dependencies }: SignInOptions): SignIn {
  switch (settings.method) {
    case "none":
      return createNoSignIn();
    case "sample":
      return createSampleSignIn({ members, listTableMembers });
    case "oidc":
      return createOidcSignIn({ settings, ...dependencies });
    case "github":
      return createGitHubSignIn({ settings, ...dependencies });
    case "access":
      return createCloudflareAccessSignIn({ settings, ...dependencies });
  }
}
