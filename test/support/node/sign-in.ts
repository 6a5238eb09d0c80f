// Signs in over real HTTP as a client does: approves the consent page and chooses an account as a user in a browser would. `TestAuth`
// works with the clients of both SDKs.
import type {
  OAuthClientMetadata,
  OAuthClientProvider,
  OAuthDiscoveryState,
  StoredOAuthClientInformation,
  StoredOAuthTokens,
} from "@modelcontextprotocol/client";
import { createBrowser } from "../forms.ts";
import type { Browser } from "../forms.ts";

const REDIRECT_URL = "http://127.0.0.1:45454/callback";

/** Does what the user does in the browser, and returns the callback URL. */
export async function walkThroughSignIn(authorizationUrl: string, account: string): Promise<URL> {
  const browser = createBrowser(fetch);
  const consent = await browser.open(authorizationUrl);
  const accounts = await browser.press(consent, "decision", "approve");
  const redirect = await browser.press(accounts, "account", account);
  const location = redirect.response.headers.get("location");
  if (location === null)
    throw new Error(`sign-in as ${account} ended with ${redirect.response.status}: ${redirect.html}`);
  return new URL(location);
}

/** Opens a browser that has signed in to our own pages. */
export async function signInToPages(origin: string, account: string): Promise<Browser> {
  const browser = createBrowser(fetch);
  await browser.press(await browser.open(`${origin}/sign-in`), "account", account);
  return browser;
}

/** Signs in as an account of the sample, and stores everything in memory. */
export class TestAuth implements OAuthClientProvider {
  readonly account: string;
  /** The URL that the browser was last redirected to. */
  callback: URL | undefined;
  #information: StoredOAuthClientInformation | undefined;
  #tokens: StoredOAuthTokens | undefined;
  #verifier = "";
  #discovery: OAuthDiscoveryState | undefined;

  constructor(account: string) {
    this.account = account;
  }

  get redirectUrl(): string {
    return REDIRECT_URL;
  }

  get clientMetadata(): OAuthClientMetadata {
    return {
      client_name: "Gatehouse tests",
      redirect_uris: [REDIRECT_URL],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      token_endpoint_auth_method: "none",
    };
  }

  clientInformation(): StoredOAuthClientInformation | undefined {
    return this.#information;
  }

  saveClientInformation(information: StoredOAuthClientInformation): void {
    this.#information = information;
  }

  tokens(): StoredOAuthTokens | undefined {
    return this.#tokens;
  }

  saveTokens(tokens: StoredOAuthTokens): void {
    this.#tokens = tokens;
  }

  async redirectToAuthorization(authorizationUrl: URL): Promise<void> {
    this.callback = await walkThroughSignIn(authorizationUrl.href, this.account);
  }

  saveDiscoveryState(state: OAuthDiscoveryState): void {
    this.#discovery = state;
  }

  discoveryState(): OAuthDiscoveryState | undefined {
    return this.#discovery;
  }

  saveCodeVerifier(verifier: string): void {
    this.#verifier = verifier;
  }

  codeVerifier(): string {
    return this.#verifier;
  }

  /** The authorization code of the callback. */
  get code(): string {
    const code = this.callback?.searchParams.get("code");
    if (code === null || code === undefined) throw new Error("no code came back");
    return code;
  }

  get accessToken(): string {
    if (this.#tokens === undefined) throw new Error("not signed in");
    return this.#tokens.access_token;
  }
}
