// Sign-in at any OpenID Connect issuer: discovery, authorization code with PKCE, nonce and state, signed ID tokens, and the
// refresh token by which groups are read anew.
import * as oidc from "openid-client";
import * as z from "zod";
import { isLoopbackHost } from "../lib/loopback.ts";
import { readOidcClaims } from "./claims.ts";
import {
  ADDRESS_REFUSAL,
  CONFIGURATION_REFUSAL,
  DENIED_REFUSAL,
  UNREACHABLE_REFUSAL,
  UNVERIFIED_REFUSAL,
  VAGUE_REFUSAL,
  describeFault,
  providerDeadline,
} from "./fault.ts";
import { keepVisibleGroups } from "./group-names.ts";
import { IssuerMismatchError, describeIssuerMismatch, describeReplacedIssuer } from "./issuer-mismatch.ts";
import type { OidcSettings } from "./settings.ts";
import { CALLBACK_PATH } from "./sign-in.ts";
import type { NextStep, Renewed, SignIn, SignInEnd, SignInParts, SignedIn } from "./sign-in.ts";

/** How long what discovery said is used. Keys are not kept at all: they are read for each token, so a new one counts at once. */
const METADATA_MS = 600_000;
/** How far the issuer's clock may be from ours. */
const CLOCK_TOLERANCE_SECONDS = 30;

/**
 * Errors by which OpenID Connect asks for the user (Core §3.1.2.6, Unmet Authentication Requirements §2), and which some issuers answer a
 * refresh with too. `access_denied` comes from issuers whose rules run at each refresh. The connection ends, because only a new sign-in
 * brings the user there; the account goes on. Every other error but `invalid_grant` (RFC 6749 §5.2) is about this server or passes: an
 * expired client secret, for example.
 */
const SIGN_IN_ERRORS = [
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

export function createOidcSignIn({ settings, origin, now, log }: SignInParts<OidcSettings>): SignIn {
  const redirectUri = `${origin}${CALLBACK_PATH}`;
  const configure = createConfiguration(settings, now);

  async function signedIn(config: oidc.Configuration, tokens: Tokens, expected?: Renewal): Promise<SignedIn | Refusal> {
    const idToken = tokens.claims();
    // A refresh may come without an ID token; whose it is stands in the one before (OpenID Connect Core §12.2).
    const subject = idToken?.sub ?? expected?.subject;
    if (subject === undefined) return { person: VAGUE_REFUSAL, log: "there is no ID token" };
    if (expected !== undefined && subject !== expected.subject)
      return { person: VAGUE_REFUSAL, log: "the ID token is another person's" };
    const isWhole = idToken?.["email"] !== undefined && idToken[settings.groupsClaim] !== undefined;
    const userInfo = isWhole ? {} : await fetchUserInfo(config, tokens.access_token, subject);
    const read = readOidcClaims(idToken ?? {}, userInfo, settings);
    if (read.kind === "unverified") return { person: UNVERIFIED_REFUSAL, log: read.reason };
    if (read.kind === "unusable") return { person: ADDRESS_REFUSAL, log: read.reason };
    if (read.isOverflow) log(`sign-in: the issuer left the groups out, as they are too many for a token`);
    const { issuer } = config.serverMetadata();
    const refreshToken = tokens.refresh_token ?? expected?.refreshToken;
    const renewal = refreshToken === undefined ? undefined : ({ issuer, subject, refreshToken } satisfies Renewal);
    const groups = keepVisibleGroups(read.groups, log);
    return { claims: { issuer, subject, email: read.email, groups }, renewal };
  }

  async function authorizationRequest(own: Record<"state" | "nonce" | "code_challenge", string>): Promise<NextStep> {
    try {
      const url = oidc.buildAuthorizationUrl(await configure(), {
        ...Object.fromEntries(settings.parameters),
        redirect_uri: redirectUri,
        scope: settings.scopes,
        code_challenge_method: "S256",
        ...own,
      });
      return { redirectTo: url.href };
    } catch (error) {
      const mismatch = describeIssuerMismatch(error);
      if (mismatch !== undefined) {
        log(`sign-in: ${mismatch}`);
        return { refused: CONFIGURATION_REFUSAL };
      }
      log(`sign-in: the issuer cannot be reached: ${describeFault(error)}`);
      return { refused: UNREACHABLE_REFUSAL };
    }
  }

  async function finish(request: Request, data: unknown): Promise<SignInEnd> {
    const { search, searchParams } = new URL(request.url);
    // Which state it must be, the flow has checked: it led to the data.
    const expectedState = searchParams.get("state") ?? "";
    try {
      const { verifier: pkceCodeVerifier, nonce: expectedNonce } = dataSchema.parse(data);
      const config = await configure();
      requireIssuer(config, searchParams.get("iss"));
      const checks = { pkceCodeVerifier, expectedNonce, expectedState, idTokenExpected: true };
      const tokens = await oidc.authorizationCodeGrant(config, new URL(`${redirectUri}${search}`), checks);
      const end = await signedIn(config, tokens);
      if ("claims" in end) {
        if (end.renewal === undefined) log(NO_REFRESH_TOKEN);
        return end;
      }
      log(`sign-in: refused: ${end.log}`);
      return { refused: end.person };
    } catch (error) {
      log(`sign-in: refused: ${describeIssuerMismatch(error) ?? describeFault(error)}`);
      return { refused: error instanceof oidc.AuthorizationResponseError ? DENIED_REFUSAL : VAGUE_REFUSAL };
    }
  }

  async function renew(renewal: unknown): Promise<Renewed> {
    const parsed = renewalSchema.safeParse(renewal);
    if (!parsed.success) return { kind: "ended", reason: "it is of another sign-in method" };
    try {
      const config = await configure();
      const { issuer } = config.serverMetadata();
      if (issuer !== parsed.data.issuer)
        return { kind: "ended", reason: describeReplacedIssuer(parsed.data.issuer, issuer) };
      const tokens = await oidc.refreshTokenGrant(config, parsed.data.refreshToken);
      const end = await signedIn(config, tokens, parsed.data);
      return "claims" in end ? { kind: "current", signedIn: end } : { kind: "ended", reason: end.log };
    } catch (error) {
      const reason = describeIssuerMismatch(error) ?? describeFault(error);
      const code = error instanceof oidc.ResponseBodyError ? error.error : undefined;
      if (code === "invalid_grant") return { kind: "ended", reason };
      return { kind: code !== undefined && SIGN_IN_ERRORS.includes(code) ? "sign_in_required" : "unavailable", reason };
    }
  }

  return {
    refusal: () => undefined,
    async start() {
      const data = { verifier: oidc.randomPKCECodeVerifier(), nonce: oidc.randomNonce() };
      const challenge = await oidc.calculatePKCECodeChallenge(data.verifier);
      return {
        data,
        next: async (state) => authorizationRequest({ state, nonce: data.nonce, code_challenge: challenge }),
      };
    },
    finish,
    renew,
  };
}

/** RFC 9207 §2.4. The library checks it too, without naming the values. Throws `IssuerMismatchError`. */
function requireIssuer(config: oidc.Configuration, answered: string | null): void {
  const { issuer } = config.serverMetadata();
  if (answered !== null && answered !== issuer) throw new IssuerMismatchError(issuer, answered);
}

type Renewal = z.output<typeof renewalSchema>;

interface Refusal {
  readonly person: string;
  readonly log: string;
}

/**
 * Tried twice: with a refresh, the issuer may have replaced the refresh token already, and what fails now loses the new one.
 */
async function fetchUserInfo(config: oidc.Configuration, token: string, subject: string) {
  if (config.serverMetadata().userinfo_endpoint === undefined) return {};
  const ask = async () => oidc.fetchUserInfo(config, token, subject);
  return ask().catch(ask);
}

const NO_REFRESH_TOKEN =
  "sign-in: the issuer gave no refresh token, so this connection ends with its first access token. Allow the client the grant refresh_token, and see OIDC_SCOPES and OIDC_PARAMETERS.";

/** Discovery, and from it a configuration for one sign-in: what it caches (keys) goes with it. */
function createConfiguration(settings: OidcSettings, now: () => number): () => Promise<oidc.Configuration> {
  const { issuer, clientId, clientSecret } = settings;
  let known: { readonly metadata: oidc.ServerMetadata; readonly untilMs: number } | undefined;
  const forLoopback = isLoopbackHost(issuer.hostname) ? [oidc.allowInsecureRequests] : [];
  return async () => {
    const signal = providerDeadline();
    const fetchInTime: oidc.CustomFetch = async (url, init) => fetch(url, { ...init, body: init.body ?? null, signal });
    if (known === undefined || known.untilMs <= now()) {
      const options = { execute: forLoopback, [oidc.customFetch]: fetchInTime };
      const found = await oidc.discovery(issuer, clientId, undefined, undefined, options);
      known = { metadata: found.serverMetadata(), untilMs: now() + METADATA_MS };
    }
    const { metadata } = known;
    const methods = metadata.token_endpoint_auth_methods_supported ?? ["client_secret_basic"];
    const authentication = methods.includes("client_secret_basic") ? oidc.ClientSecretBasic : oidc.ClientSecretPost;
    const client = { [oidc.clockTolerance]: CLOCK_TOLERANCE_SECONDS };
    const config = new oidc.Configuration(metadata, clientId, client, authentication(clientSecret));
    config[oidc.customFetch] = fetchInTime;
    // The signature counts also where TLS would do: the log then says what was wrong with a token.
    oidc.enableNonRepudiationChecks(config);
    for (const one of forLoopback) one(config);
    return config;
  };
}
