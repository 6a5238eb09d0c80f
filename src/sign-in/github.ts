// Sign-in with GitHub, through an OAuth app or a GitHub App. Groups are the allowed organisations that the user is a member of
// (`acme`) and the user's teams in them (`acme/platform`). An organisation pinned by its id also gives `acme#1001/platform`.
import * as oidc from "openid-client";
import * as z from "zod";
import { parseEmailAddress } from "../lib/email-address.ts";
import {
  ADDRESS_REFUSAL,
  DENIED_REFUSAL,
  UNVERIFIED_REFUSAL,
  VAGUE_REFUSAL,
  describeAddressFault,
  describeError,
  createProviderTimeout,
} from "./provider-errors.ts";
import { GitHubFault, createGitHubApi } from "./github-api-client.ts";
import type { GitHubApi, GitHubTokens, Team } from "./github-api-client.ts";
import type { GitHubSettings } from "./sign-in-settings.ts";
import { CALLBACK_PATH } from "./sign-in.ts";
import type { RenewalResult, SignIn, SignInResult, SignInDependencies, SignedIn } from "./sign-in.ts";

/** An access token is refreshed this long before it expires. */
const EXPIRY_MARGIN_MS = 60_000;

const dataSchema = z.object({ verifier: z.string() });
const renewalSchema = z.object({
  issuer: z.string(),
  id: z.int(),
  accessToken: z.string(),
  /** Null when the app's access tokens do not expire. */
  expiry: z.nullable(z.object({ atMs: z.number(), refreshToken: z.string() })),
});

type Renewal = z.output<typeof renewalSchema>;

/** Creates the sign-in with GitHub. Each renewal reads memberships, address and teams again. */
export function createGitHubSignIn({ settings, origin, now, log }: SignInDependencies<GitHubSettings>): SignIn {
  const { clientId } = settings;
  const issuer = settings.webUrl.origin;
  const redirectUri = `${origin}${CALLBACK_PATH}`;

  async function finish(request: Request, data: unknown): Promise<SignInResult> {
    const { searchParams } = new URL(request.url);
    const code = searchParams.get("code");
    if (code === null) {
      log(`sign-in: refused: ${describeError({ error: searchParams.get("error") ?? "no code came back" })}`);
      return { refused: DENIED_REFUSAL };
    }
    try {
      const { verifier } = dataSchema.parse(data);
      const api = createGitHubApi(settings, createProviderTimeout());
      const tokens = await api.exchangeCode(code, verifier, redirectUri);
      const result = await readUser(api, settings, buildRenewal(tokens));
      if ("claims" in result) return result;
      log(`sign-in: refused: ${result.logMessage}`);
      return { refused: result.userMessage };
    } catch (error) {
      log(`sign-in: refused: ${describeError(error)}`);
      return { refused: VAGUE_REFUSAL };
    }
  }

  function buildRenewal({ accessToken, expires }: GitHubTokens): Omit<Renewal, "id"> {
    const expiry =
      expires === undefined ? null : { atMs: now() + expires.inSeconds * 1000, refreshToken: expires.refreshToken };
    return { issuer, accessToken, expiry };
  }

  async function renew(renewal: unknown): Promise<RenewalResult> {
    const parsed = renewalSchema.safeParse(renewal);
    if (!parsed.success || parsed.data.issuer !== issuer)
      return { kind: "ended", reason: "the connection was created with another sign-in method" };
    const { id, expiry } = parsed.data;
    try {
      const api = createGitHubApi(settings, createProviderTimeout());
      const isExpired = expiry !== null && expiry.atMs - EXPIRY_MARGIN_MS <= now();
      const credentials = isExpired ? buildRenewal(await api.refresh(expiry.refreshToken)) : parsed.data;
      const result = await readUser(api, settings, credentials);
      if (!("claims" in result)) return { kind: "ended", reason: result.logMessage };
      if (result.claims.subject !== String(id))
        return { kind: "ended", reason: "the access token belongs to another user" };
      return { kind: "current", signedIn: result };
    } catch (error) {
      const isEnded = error instanceof GitHubFault && error.isFinal;
      return { kind: isEnded ? "ended" : "unavailable", reason: describeError(error) };
    }
  }

  return {
    findRefusal: () => undefined,
    async start() {
      const data = { verifier: oidc.randomPKCECodeVerifier() };
      const challenge = await oidc.calculatePKCECodeChallenge(data.verifier);
      return {
        data,
        next: async (state) => {
          const url = new URL("/login/oauth/authorize", settings.webUrl);
          url.search = new URLSearchParams({
            client_id: clientId,
            redirect_uri: redirectUri,
            scope: "read:org user:email",
            code_challenge: challenge,
            code_challenge_method: "S256",
            state,
          }).toString();
          return { redirectTo: url.href };
        },
      };
    },
    finish,
    renew,
  };
}

interface Refusal {
  readonly userMessage: string;
  readonly logMessage: string;
}

type Organisations = Pick<GitHubSettings, "organisations" | "organisationIds">;

/** Reads the user of an access token: id, verified address, and groups in the organisations that may sign in. */
async function readUser(
  api: GitHubApi,
  settings: Organisations,
  credentials: Omit<Renewal, "id">,
): Promise<SignedIn | Refusal> {
  const { accessToken, issuer } = credentials;
  const { id } = await api.fetchUser(accessToken);
  const { memberOf, pinMismatches } = await readMemberships(api, settings, accessToken);
  if (memberOf.length === 0) {
    const reasons = [`user ${id} is a member of none of the organisations in GITHUB_ORGANISATIONS`, ...pinMismatches];
    return { userMessage: DENIED_REFUSAL, logMessage: reasons.join("; ") };
  }
  const verifiedEmail = await api.fetchVerifiedEmail(accessToken);
  if (verifiedEmail === undefined)
    return { userMessage: UNVERIFIED_REFUSAL, logMessage: `user ${id} has no verified primary address` };
  const email = parseEmailAddress(verifiedEmail);
  if (email === undefined)
    return { userMessage: ADDRESS_REFUSAL, logMessage: `user ${id}: ${describeAddressFault(verifiedEmail)}` };
  const groups = listGroups(memberOf, settings, await api.fetchTeams(accessToken));
  return { claims: { issuer, subject: String(id), email, groups }, renewal: { ...credentials, id } satisfies Renewal };
}

/** Lists the allowed organisations that the user is a member of and, for the log, organisations that have the name of a pinned one. */
async function readMemberships(
  api: GitHubApi,
  { organisations, organisationIds }: Organisations,
  accessToken: string,
): Promise<{ readonly memberOf: readonly string[]; readonly pinMismatches: readonly string[] }> {
  const memberOf: string[] = [];
  const pinMismatches: string[] = [];
  for (const name of organisations) {
    const membership = await api.fetchMembership(accessToken, name);
    if (membership === undefined) continue;
    const [pinnedId, actualId] = [organisationIds.get(name), membership.organisationId];
    // An attacker can register the name of a renamed or deleted organisation and create teams with the same names in it.
    if (pinnedId === undefined || pinnedId === actualId) memberOf.push(name);
    else
      pinMismatches.push(
        `${name} has ${actualId === undefined ? "no id" : `the id ${actualId}`}, but GITHUB_ORGANISATIONS pins the id ${pinnedId}`,
      );
  }
  return { memberOf, pinMismatches };
}

/** Lists the group names. Each group of a pinned organisation occurs twice: with the name alone, and with name and id. */
function listGroups(
  memberOf: readonly string[],
  { organisationIds }: Organisations,
  teams: readonly Team[],
): readonly string[] {
  const formatGroupNames = (name: string, team = ""): readonly string[] => {
    const pinnedId = organisationIds.get(name);
    return [`${name}${team}`, ...(pinnedId === undefined ? [] : [`${name}#${pinnedId}${team}`])];
  };
  const memberTeams = teams.filter(({ organisation, organisationId }) => {
    const pinnedId = organisationIds.get(organisation);
    return memberOf.includes(organisation) && (pinnedId === undefined || pinnedId === organisationId);
  });
  return [
    ...memberOf.flatMap((name) => formatGroupNames(name)),
    ...memberTeams.flatMap(({ organisation, slug }) => formatGroupNames(organisation, `/${slug}`)),
  ];
}
