// Calls GitHub's OAuth endpoints and the parts of its REST API that sign-in needs, and parses each response. It also decides which
// errors are final, because GitHub answers some of them with status 200.
import * as z from "zod";
import { foldAscii } from "../lib/email-address.ts";
import type { GitHubSettings } from "./sign-in-settings.ts";

/** The access token of a user, with its refresh token if it expires. */
export interface GitHubTokens {
  readonly accessToken: string;
  /** Undefined when the app's access tokens do not expire: OAuth apps, and GitHub Apps that opted out of expiry. */
  readonly expires: { readonly inSeconds: number; readonly refreshToken: string } | undefined;
}

/** The calls to GitHub that one sign-in or refresh makes. */
export interface GitHubApi {
  exchangeCode(code: string, verifier: string, redirectUri: string): Promise<GitHubTokens>;
  refresh(refreshToken: string): Promise<GitHubTokens>;
  /** Fetches the account's numeric id. Logins are not used, because another account can take over a login. */
  fetchUser(accessToken: string): Promise<{ readonly id: number }>;
  /** Fetches the user's membership in the organisation that has this name today; undefined when the user is no active member. */
  fetchMembership(accessToken: string, organisation: string): Promise<Membership | undefined>;
  /** Fetches the primary email address; undefined when it is not verified. */
  fetchVerifiedEmail(accessToken: string): Promise<string | undefined>;
  /** Lists the user's teams in every organisation that the app may see, at most 1,000. */
  fetchTeams(accessToken: string): Promise<readonly Team[]>;
}

interface Membership {
  /** Undefined when the server does not send it. */
  readonly organisationId: number | undefined;
}

/** Names are in lower case, because GitHub ignores case. */
export interface Team {
  readonly organisation: string;
  readonly organisationId: number | undefined;
  readonly slug: string;
}

/** A request that GitHub refused. `isFinal` means that the access or refresh token is invalid, so the user has to sign in again. */
export class GitHubFault extends Error {
  readonly isFinal: boolean;

  constructor(message: string, isFinal: boolean) {
    super(message);
    this.name = "GitHubFault";
    this.isFinal = isFinal;
  }
}

const PAGE_SIZE = 100;
/** With `PAGE_SIZE`, the first 1,000 teams of a user count. */
const MAX_PAGES = 10;
/** The only errors of the token endpoint that are about the user's refresh token; all others are about this server or pass. */
const FINAL_ERRORS = ["bad_refresh_token", "invalid_grant"];

const tokensSchema = z.union([
  z.object({ access_token: z.string(), expires_in: z.number(), refresh_token: z.string() }),
  z.object({ access_token: z.string() }),
  z.object({ error: z.string() }),
]);
const userSchema = z.object({ id: z.int() });
const membershipSchema = z.object({ state: z.string(), organization: z.object({ id: z.int().optional() }).optional() });
const emailsSchema = z.array(z.object({ email: z.string(), primary: z.boolean(), verified: z.boolean() }));
const teamsSchema = z.array(
  z.object({ slug: z.string(), organization: z.object({ login: z.string(), id: z.int().optional() }) }),
);

/** Creates the client for one sign-in or refresh; `signal` aborts all of its calls. Calls throw `GitHubFault` when GitHub refuses. */
export function createGitHubApi({ webUrl, clientId, clientSecret }: GitHubSettings, signal: AbortSignal): GitHubApi {
  const base = getApiBaseUrl(webUrl);
  // Following a redirect would send the access token or client secret to another URL, and GitHub's endpoints have none to follow.
  const fetchOptions = { redirect: "manual", signal } as const;

  async function requestTokens(parameters: Record<string, string>): Promise<GitHubTokens> {
    const response = await fetch(new URL("/login/oauth/access_token", webUrl), {
      method: "POST",
      headers: { ...HEADERS, Accept: "application/json" },
      body: new URLSearchParams({ client_id: clientId, client_secret: clientSecret, ...parameters }),
      ...fetchOptions,
    });
    if (!response.ok) throw new GitHubFault(`the token endpoint answered ${response.status}`, false);
    const tokens = tokensSchema.parse(await response.json());
    if ("error" in tokens)
      throw new GitHubFault(`the token endpoint answered ${tokens.error}`, FINAL_ERRORS.includes(tokens.error));
    const expires =
      "refresh_token" in tokens ? { inSeconds: tokens.expires_in, refreshToken: tokens.refresh_token } : undefined;
    return { accessToken: tokens.access_token, expires };
  }

  async function get(accessToken: string, path: string): Promise<Response> {
    const headers = { ...HEADERS, Accept: "application/vnd.github+json", Authorization: `Bearer ${accessToken}` };
    const response = await fetch(`${base}${path}`, { headers, ...fetchOptions });
    // 403 is not final: it is a rate limit, or an organisation that asks for a new single sign-on first.
    if (response.status === 401) throw new GitHubFault(`${path} answered 401`, true);
    return response;
  }

  async function getParsed<T>(schema: z.ZodType<T>, accessToken: string, path: string): Promise<T> {
    const response = await get(accessToken, path);
    if (!response.ok) throw new GitHubFault(`${path} answered ${response.status}`, false);
    return schema.parse(await response.json());
  }

  return {
    exchangeCode: async (code, verifier, redirectUri) =>
      requestTokens({ code, code_verifier: verifier, redirect_uri: redirectUri }),
    refresh: async (refreshToken) => requestTokens({ grant_type: "refresh_token", refresh_token: refreshToken }),
    fetchUser: async (accessToken) => getParsed(userSchema, accessToken, "/user"),
    async fetchMembership(accessToken, organisation) {
      const path = `/user/memberships/orgs/${organisation}`;
      const response = await get(accessToken, path);
      if (response.status === 404) return undefined;
      if (!response.ok) throw new GitHubFault(`${path} answered ${response.status}`, false);
      const { state, organization } = membershipSchema.parse(await response.json());
      return state === "active" ? { organisationId: organization?.id } : undefined;
    },
    async fetchVerifiedEmail(accessToken) {
      const emails = await getParsed(emailsSchema, accessToken, "/user/emails?per_page=100");
      return emails.find(({ primary, verified }) => primary && verified)?.email;
    },
    async fetchTeams(accessToken) {
      const allTeams: Team[] = [];
      for (let page = 1; page <= MAX_PAGES; page += 1) {
        const teams = await getParsed(teamsSchema, accessToken, `/user/teams?per_page=${PAGE_SIZE}&page=${page}`);
        allTeams.push(
          ...teams.map(({ slug, organization }) => ({
            organisation: foldAscii(organization.login),
            organisationId: organization.id,
            slug: foldAscii(slug),
          })),
        );
        if (teams.length < PAGE_SIZE) break;
      }
      return allTeams;
    },
  };
}

/** GitHub answers 403 to requests without a User-Agent. */
const HEADERS = { "User-Agent": "gatehouse", "X-GitHub-Api-Version": "2022-11-28" };

/** GitHub's clouds serve the API on its own host, GitHub Enterprise Server under a path. */
function getApiBaseUrl({ hostname, origin }: URL): string {
  const isCloud = hostname === "github.com" || hostname.endsWith(".ghe.com");
  return isCloud ? `https://api.${hostname}` : `${origin}/api/v3`;
}
