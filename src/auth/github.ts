// Sign-in with GitHub, through an OAuth app or a GitHub App. Groups are the organisations that may sign in (`acme`) and the
// person's teams in them (`acme/platform`); of an organisation that is pinned by its id also with it (`acme#1001/platform`).
import * as oidc from "openid-client";
import * as z from "zod";
import { parseEmailAddress } from "../lib/email-address.ts";
import {
  ADDRESS_REFUSAL,
  DENIED_REFUSAL,
  UNVERIFIED_REFUSAL,
  VAGUE_REFUSAL,
  describeAddressFault,
  describeFault,
  providerDeadline,
} from "./fault.ts";
import { GitHubFault, createGitHubApi } from "./github-api.ts";
import type { GitHubApi, GitHubTokens, Team } from "./github-api.ts";
import type { GitHubSettings } from "./settings.ts";
import { CALLBACK_PATH } from "./sign-in.ts";
import type { Renewed, SignIn, SignInEnd, SignInParts, SignedIn } from "./sign-in.ts";

/** An access token is taken for expired this long before it is. */
const EARLY_MS = 60_000;

const dataSchema = z.object({ verifier: z.string() });
const renewalSchema = z.object({
  issuer: z.string(),
  id: z.int(),
  accessToken: z.string(),
  /** Null where the app's tokens do not expire. */
  expiry: z.nullable(z.object({ atMs: z.number(), refreshToken: z.string() })),
});

type Renewal = z.output<typeof renewalSchema>;

export function createGitHubSignIn({ settings, origin, now, log }: SignInParts<GitHubSettings>): SignIn {
  const { clientId } = settings;
  const issuer = settings.web.origin;
  const redirectUri = `${origin}${CALLBACK_PATH}`;

  async function finish(request: Request, data: unknown): Promise<SignInEnd> {
    const { searchParams } = new URL(request.url);
    const code = searchParams.get("code");
    if (code === null) {
      log(`sign-in: refused: ${describeFault({ error: searchParams.get("error") ?? "no code came back" })}`);
      return { refused: DENIED_REFUSAL };
    }
    try {
      const { verifier } = dataSchema.parse(data);
      const api = createGitHubApi(settings, providerDeadline());
      const tokens = await api.exchangeCode(code, verifier, redirectUri);
      const end = await readPerson(api, settings, renewalOf(tokens));
      if ("claims" in end) return end;
      log(`sign-in: refused: ${end.log}`);
      return { refused: end.person };
    } catch (error) {
      log(`sign-in: refused: ${describeFault(error)}`);
      return { refused: VAGUE_REFUSAL };
    }
  }

  function renewalOf({ accessToken, expires }: GitHubTokens): Omit<Renewal, "id"> {
    const expiry =
      expires === undefined ? null : { atMs: now() + expires.inSeconds * 1000, refreshToken: expires.refreshToken };
    return { issuer, accessToken, expiry };
  }

  async function renew(renewal: unknown): Promise<Renewed> {
    const parsed = renewalSchema.safeParse(renewal);
    if (!parsed.success || parsed.data.issuer !== issuer)
      return { kind: "ended", reason: "it is of another sign-in method" };
    const { id, expiry } = parsed.data;
    try {
      const api = createGitHubApi(settings, providerDeadline());
      const isOver = expiry !== null && expiry.atMs - EARLY_MS <= now();
      const current = isOver ? renewalOf(await api.refresh(expiry.refreshToken)) : parsed.data;
      const end = await readPerson(api, settings, current);
      if (!("claims" in end)) return { kind: "ended", reason: end.log };
      if (end.claims.subject !== String(id)) return { kind: "ended", reason: "the token is another person's" };
      return { kind: "current", signedIn: end };
    } catch (error) {
      const isEnded = error instanceof GitHubFault && error.isFinal;
      return { kind: isEnded ? "ended" : "unavailable", reason: describeFault(error) };
    }
  }

  return {
    refusal: () => undefined,
    async start() {
      const data = { verifier: oidc.randomPKCECodeVerifier() };
      const challenge = await oidc.calculatePKCECodeChallenge(data.verifier);
      return {
        data,
        next: async (state) => {
          const url = new URL("/login/oauth/authorize", settings.web);
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
  readonly person: string;
  readonly log: string;
}

type Organisations = Pick<GitHubSettings, "organisations" | "organisationIds">;

/** Who the token is of, their verified address, and their groups among the organisations that may sign in. */
async function readPerson(
  api: GitHubApi,
  settings: Organisations,
  tokens: Omit<Renewal, "id">,
): Promise<SignedIn | Refusal> {
  const { accessToken, issuer } = tokens;
  const { id } = await api.user(accessToken);
  const { members, faults } = await readMemberships(api, settings, accessToken);
  if (members.length === 0) {
    const fault = [`user ${id} is in none of the organisations of GITHUB_ORGANISATIONS`, ...faults].join("; ");
    return { person: DENIED_REFUSAL, log: fault };
  }
  const verified = await api.verifiedEmail(accessToken);
  if (verified === undefined)
    return { person: UNVERIFIED_REFUSAL, log: `user ${id} has no primary address that is verified` };
  const email = parseEmailAddress(verified);
  if (email === undefined) return { person: ADDRESS_REFUSAL, log: `of user ${id}, ${describeAddressFault(verified)}` };
  const groups = groupsOf(members, settings, await api.teams(accessToken));
  return { claims: { issuer, subject: String(id), email, groups }, renewal: { ...tokens, id } satisfies Renewal };
}

/** The organisations that the person is a member of, by name, and for the log those that only have the name of a pinned one. */
async function readMemberships(
  api: GitHubApi,
  { organisations, organisationIds }: Organisations,
  accessToken: string,
): Promise<{ readonly members: readonly string[]; readonly faults: readonly string[] }> {
  const members: string[] = [];
  const faults: string[] = [];
  for (const name of organisations) {
    const membership = await api.membership(accessToken, name);
    if (membership === undefined) continue;
    const [pinned, found] = [organisationIds.get(name), membership.organisationId];
    // An attacker who registers the name of a renamed or deleted organisation gets all names of its teams too.
    if (pinned === undefined || pinned === found) members.push(name);
    else faults.push(`${name} is organisation ${found ?? "without an id"}, not ${pinned} as GITHUB_ORGANISATIONS says`);
  }
  return { members, faults };
}

/** Of a pinned organisation each group stands twice: by its name, and with the id. */
function groupsOf(
  members: readonly string[],
  { organisationIds }: Organisations,
  teams: readonly Team[],
): readonly string[] {
  const namesOf = (name: string, team = ""): readonly string[] => {
    const pinned = organisationIds.get(name);
    return [`${name}${team}`, ...(pinned === undefined ? [] : [`${name}#${pinned}${team}`])];
  };
  const counting = teams.filter(({ organisation, organisationId }) => {
    const pinned = organisationIds.get(organisation);
    return members.includes(organisation) && (pinned === undefined || pinned === organisationId);
  });
  return [
    ...members.flatMap((name) => namesOf(name)),
    ...counting.flatMap(({ organisation, slug }) => namesOf(organisation, `/${slug}`)),
  ];
}
