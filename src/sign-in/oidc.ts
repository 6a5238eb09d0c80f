// Sign-in at any OpenID Connect issuer: discovery, authorization code with PKCE, nonce and state, signed ID tokens, and a refresh
// token with which each renewal reads the groups again.
import * as oidc from "openid-client";
import * as z from "zod";
import { isLoopbackHost } from "../lib/loopback.ts";
import { readOidcClaims } from "./oidc-claims.ts";
import {
  ADDRESS_REFUSAL,
  CONFIGURATION_REFUSAL,
  DENIED_REFUSAL,
  UNREACHABLE_REFUSAL,
  UNVERIFIED_REFUSAL,
  VAGUE_REFUSAL,
  describeError,
  createProviderTimeout,
} from "./provider-errors.ts";
import { keepVisibleGroups } from "./group-names.ts";
import { IssuerMismatchError, describeIssuerMismatch, describeReplacedIssuer } from "./issuer-mismatch.ts";
import type { OidcSettings } from "./sign-in-settings.ts";
import { CALLBACK_PATH } from "./sign-in.ts";
import type { NextStep, RenewalResult, SignIn, SignInResult, SignInDependencies, SignedIn } from "./sign-in.ts";

/** How long the discovery document is cached. Keys are not cached: each ID token check fetches them, so a rotated key works at once. */
const METADATA_TTL_MS = 600_000;
/** How far the issuer's clock may differ from this server's. */
const CLOCK_TOLERANCE_SECONDS = 30;

/**
 * Errors with which OpenID Connect asks for the user (Core §3.1.2.6, Unmet Authentication Requirements §2); some issuers also answer a
 * refresh with them. `access_denied` comes from issuers that evaluate their rules at each refresh. The connection ends, because only a
 * new sign-in brings the user to the issuer; the account stays valid. Every other error except `invalid_grant` (RFC 6749 §5.2) is about
 * this server (an expired client secret, for example) or temporary.
 */
const INTERACTION_REQUIRED_ERRORS = [
  "interaction_required",
  "consent_required",
  "login_required",
  "account_selection_required",
  "unmet_authentication_requirements",
  "access_denied",
];

const dataSchema = z.object({ verifier: z.string(), nonce: z.string() });
const renewalSchema = z.object({ issuer: z.string(), subject: z.string(), refreshToken: z.string() });

type Tokens = oidc.TokenEndpointResponse & oidc.TokenEndpointResponseHelpers;

/** Creates the sign-in at an OpenID Connect issuer. */
export function createOidcSignIn({ settings, origin, now, log }: SignInDependencies<OidcSettings>): SignIn {
  const redirectUri = `${origin}${CALLBACK_PATH}`;
  const configure = createConfigurationFactory(settings, now);

  async function readTokens(
    config: oidc.Configuration,
    tokens: Tokens,
    previousRenewal?: Renewal,
  ): Promise<SignedIn | Refusal> {
    const idToken = tokens.claims();
    // A refresh response may have no ID token; the subject is then the one of the sign-in (OpenID Connect Core §12.2).
    const subject = idToken?.sub ?? previousRenewal?.subject;
    if (subject === undefined) return { userMessage: VAGUE_REFUSAL, logMessage: "there is no ID token" };
    if (previousRenewal !== undefined && subject !== previousRenewal.subject)
      return { userMessage: VAGUE_REFUSAL, logMessage: "the ID token belongs to another user" };
    const hasAllClaims = idToken?.["email"] !== undefined && idToken[settings.groupsClaim] !== undefined;
    const userInfo = hasAllClaims ? {} : await fetchUserInfo(config, tokens.access_token, subject);
    const claims = readOidcClaims(idToken ?? {}, userInfo, settings);
    if (claims.kind === "unverified") return { userMessage: UNVERIFIED_REFUSAL, logMessage: claims.reason };
    if (claims.kind === "unusable") return { userMessage: ADDRESS_REFUSAL, logMessage: claims.reason };
    if (claims.isOverflow) log("sign-in: the issuer sent no groups, because there are too many for an ID token");
    const { issuer } = config.serverMetadata();
    const refreshToken = tokens.refresh_token ?? previousRenewal?.refreshToken;
    const renewal = refreshToken === undefined ? undefined : ({ issuer, subject, refreshToken } satisfies Renewal);
    const groups = keepVisibleGroups(claims.groups, log);
    return { claims: { issuer, subject, email: claims.email, groups }, renewal };
  }

  async function startAuthorization(
    flowParameters: Record<"state" | "nonce" | "code_challenge", string>,
  ): Promise<NextStep> {
    try {
      const url = oidc.buildAuthorizationUrl(await configure(), {
        ...Object.fromEntries(settings.parameters),
        redirect_uri: redirectUri,
        scope: settings.scopes,
        code_challenge_method: "S256",
        ...flowParameters,
      });
      return { redirectTo: url.href };
    } catch (error) {
      const mismatch = describeIssuerMismatch(error);
      if (mismatch !== undefined) {
        log(`sign-in: ${mismatch}`);
        return { refused: CONFIGURATION_REFUSAL };
      }
      log(`sign-in: the issuer cannot be reached: ${describeError(error)}`);
      return { refused: UNREACHABLE_REFUSAL };
    }
  }

  async function finish(request: Request, data: unknown): Promise<SignInResult> {
    const { search, searchParams } = new URL(request.url);
    // The calling flow has already checked the state: it found `data` by it.
    const expectedState = searchParams.get("state") ?? "";
    try {
      const { verifier: pkceCodeVerifier, nonce: expectedNonce } = dataSchema.parse(data);
      const config = await configure();
      requireIssuer(config, searchParams.get("iss"));
      const checks = { pkceCodeVerifier, expectedNonce, expectedState, idTokenExpected: true };
      const tokens = await oidc.authorizationCodeGrant(config, new URL(`${redirectUri}${search}`), checks);
      const result = await readTokens(config, tokens);
      if ("claims" in result) {
        if (result.renewal === undefined) log(NO_REFRESH_TOKEN);
        return result;
      }
      log(`sign-in: refused: ${result.logMessage}`);
      return { refused: result.userMessage };
    } catch (error) {
      log(`sign-in: refused: ${describeIssuerMismatch(error) ?? describeError(error)}`);
      return { refused: error instanceof oidc.AuthorizationResponseError ? DENIED_REFUSAL : VAGUE_REFUSAL };
    }
  }

  async function renew(renewal: unknown): Promise<RenewalResult> {
    const parsed = renewalSchema.safeParse(renewal);
    if (!parsed.success) return { kind: "ended", reason: "the connection was created with another sign-in method" };
    try {
      const config = await configure();
      const { issuer } = config.serverMetadata();
      if (issuer !== parsed.data.issuer)
        return { kind: "ended", reason: describeReplacedIssuer(parsed.data.issuer, issuer) };
      const tokens = await oidc.refreshTokenGrant(config, parsed.data.refreshToken);
      const result = await readTokens(config, tokens, parsed.data);
      return "claims" in result ? { kind: "current", signedIn: result } : { kind: "ended", reason: result.logMessage };
    } catch (error) {
      const reason = describeIssuerMismatch(error) ?? describeError(error);
      const code = error instanceof oidc.ResponseBodyError ? error.error : undefined;
      if (code === "invalid_grant") return { kind: "ended", reason };
      return {
        kind: code !== undefined && INTERACTION_REQUIRED_ERRORS.includes(code) ? "sign_in_required" : "unavailable",
        reason,
      };
    }
  }

  return {
    findRefusal: () => undefined,
    async start() {
      const data = { verifier: oidc.randomPKCECodeVerifier(), nonce: oidc.randomNonce() };
      const challenge = await oidc.calculatePKCECodeChallenge(data.verifier);
      return {
        data,
        next: async (state) => startAuthorization({ state, nonce: data.nonce, code_challenge: challenge }),
      };
    },
    finish,
    renew,
  };
}

/** Checks `iss` of the authorization response (RFC 9207 §2.4). The library checks it too, but its error does not name the values. */
function requireIssuer(config: oidc.Configuration, responseIssuer: string | null): void {
  const { issuer } = config.serverMetadata();
  if (responseIssuer !== null && responseIssuer !== issuer) throw new IssuerMismatchError(issuer, responseIssuer);
}

type Renewal = z.output<typeof renewalSchema>;

interface Refusal {
  readonly userMessage: string;
  readonly logMessage: string;
}

/**
 * Tries twice: at a refresh the issuer may already have replaced the refresh token, and a failure here would lose the new one.
 */
async function fetchUserInfo(config: oidc.Configuration, accessToken: string, subject: string) {
  if (config.serverMetadata().userinfo_endpoint === undefined) return {};
  const fetchOnce = async () => oidc.fetchUserInfo(config, accessToken, subject);
  return fetchOnce().catch(fetchOnce);
}

const NO_REFRESH_TOKEN = [
  "sign-in: the issuer sent no refresh token, so this connection ends when its first access token expires.",
  "Allow the grant type refresh_token for this client at the issuer, and see OIDC_SCOPES and OIDC_PARAMETERS.",
].join(" ");

/** Returns a function that creates the library's configuration for one sign-in, so that the keys it caches live no longer than that. */
function createConfigurationFactory(settings: OidcSettings, now: () => number): () => Promise<oidc.Configuration> {
  const { issuer, clientId, clientSecret } = settings;
  let cachedMetadata: { readonly metadata: oidc.ServerMetadata; readonly untilMs: number } | undefined;
  const loopbackOptions = isLoopbackHost(issuer.hostname) ? [oidc.allowInsecureRequests] : [];
  return async () => {
    const signal = createProviderTimeout();
    const fetchWithTimeout: oidc.CustomFetch = async (url, init) =>
      fetch(url, { ...init, body: init.body ?? null, signal });
    if (cachedMetadata === undefined || cachedMetadata.untilMs <= now()) {
      const options = { execute: loopbackOptions, [oidc.customFetch]: fetchWithTimeout };
      const discovered = await oidc.discovery(issuer, clientId, undefined, undefined, options);
      cachedMetadata = { metadata: discovered.serverMetadata(), untilMs: now() + METADATA_TTL_MS };
    }
    const { metadata } = cachedMetadata;
    const methods = metadata.token_endpoint_auth_methods_supported ?? ["client_secret_basic"];
    const authentication = methods.includes("client_secret_basic") ? oidc.ClientSecretBasic : oidc.ClientSecretPost;
    const client = { [oidc.clockTolerance]: CLOCK_TOLERANCE_SECONDS };
    const config = new oidc.Configuration(metadata, clientId, client, authentication(clientSecret));
    config[oidc.customFetch] = fetchWithTimeout;
    // Checks the signature of ID tokens although TLS would be enough, so that the log names what is wrong with one.
    oidc.enableNonRepudiationChecks(config);
    for (const applyOption of loopbackOptions) applyOption(config);
    return config;
  };
}
