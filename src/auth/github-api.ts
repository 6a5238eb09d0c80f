// GitHub's OAuth endpoints and the few calls of its REST API that sign-in needs, each answer parsed. Which faults are final
// is told apart here, since GitHub answers some of them with status 200.
import * as z from "zod";
import { foldAscii } from "../lib/email-address.ts";
import type { GitHubSettings } from "./settings.ts";

export interface GitHubTokens {
  readonly accessToken: string;
  /** Undefined where the app's tokens do not expire: OAuth apps, and GitHub Apps that opted out. */
  readonly expires: { readonly inSeconds: number; readonly refreshToken: string } | undefined;
}

export interface GitHubApi {
  exchangeCode(code: string, verifier: string, redirectUri: string): Promise<GitHubTokens>;
  refresh(refreshToken: string): Promise<GitHubTokens>;
  /** The account's number; names change hands. */
  user(token: string): Promise<{ readonly id: number }>;
  /** The membership of the organisation that has this name today; undefined for who is no active member. */
  membership(token: string, organisation: string): Promise<Membership | undefined>;
  /** The primary address, if it is verified. */
  verifiedEmail(token: string): Promise<string | undefined>;
  /** Of every organisation that lets the app see it. */
  teams(token: string): Promise<readonly Team[]>;
}

export interface Membership {
  /** Undefined where a server does not tell it. */
  readonly organisationId: number | undefined;
}

/** Names are in lower case: GitHub does not tell cases apart. */
export interface Team {
  readonly organisation: string;
  readonly organisationId: number | undefined;
  readonly slug: string;
}

/** What GitHub refused. `isFinal`: the token is no longer good, so its person has to sign in again. */
export class GitHubFault extends Error {
  readonly isFinal: boolean;

  constructor(message: string, isFinal: boolean) {
    super(message);
    this.name = "GitHubFault";
    this.isFinal = isFinal;
  }
}

const PAGE_SIZE = 100;
/** Teams of one person that count: the first thousand. */
const MAX_PAGES = 10;
/** The only errors of the token endpoint that are about the person, as refresh tokens go. */
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

/** The calls of one sign-in or refresh, which `signal` ends all together. */
export function createGitHubApi({ web, clientId, clientSecret }: GitHubSettings, signal: AbortSignal): GitHubApi {
  const base = apiOf(web);
  // A redirect would carry the token on; there is none to follow.
  const limits = { redirect: "manual", signal } as const;

  async function tokensFor(parameters: Record<string, string>): Promise<GitHubTokens> {
    const response = await fetch(new URL("/login/oauth/access_token", web), {
      method: "POST",
      headers: { ...HEADERS, Accept: "application/json" },
      body: new URLSearchParams({ client_id: clientId, client_secret: clientSecret, ...parameters }),
      ...limits,
    });
    if (!response.ok) throw new GitHubFault(`the token endpoint answered ${response.status}`, false);
    const tokens = tokensSchema.parse(await response.json());
    if ("error" in tokens)
      throw new GitHubFault(`the token endpoint answered ${tokens.error}`, FINAL_ERRORS.includes(tokens.error));
    const expires =
      "refresh_token" in tokens ? { inSeconds: tokens.expires_in, refreshToken: tokens.refresh_token } : undefined;
    return { accessToken: tokens.access_token, expires };
  }

  async function get(token: string, path: string): Promise<Response> {
    const headers = { ...HEADERS, Accept: "application/vnd.github+json", Authorization: `Bearer ${token}` };
    const response = await fetch(`${base}${path}`, { headers, ...limits });
    // 403 is not: a rate limit, or an organisation that asks for a new single sign-on first.
    if (response.status === 401) throw new GitHubFault(`${path} answered 401`, true);
    return response;
  }

  async function read<T>(schema: z.ZodType<T>, token: string, path: string): Promise<T> {
    const response = await get(token, path);
    if (!response.ok) throw new GitHubFault(`${path} answered ${response.status}`, false);
    return schema.parse(await response.json());
  }

  return {
    exchangeCode: async (code, verifier, redirectUri) =>
      tokensFor({ code, code_verifier: verifier, redirect_uri: redirectUri }),
    refresh: async (refreshToken) => tokensFor({ grant_type: "refresh_token", refresh_token: refreshToken }),
    user: async (token) => read(userSchema, token, "/user"),
    async membership(token, organisation) {
      const path = `/user/memberships/orgs/${organisation}`;
      const response = await get(token, path);
      if (response.status === 404) return undefined;
      if (!response.ok) throw new GitHubFault(`${path} answered ${response.status}`, false);
      const { state, organization } = membershipSchema.parse(await response.json());
      return state === "active" ? { organisationId: organization?.id } : undefined;
    },
    async verifiedEmail(token) {
      const emails = await read(emailsSchema, token, "/user/emails?per_page=100");
      return emails.find(({ primary, verified }) => primary && verified)?.email;
    },
    async teams(token) {
      const all: Team[] = [];
      for (let page = 1; page <= MAX_PAGES; page += 1) {
        const teams = await read(teamsSchema, token, `/user/teams?per_page=${PAGE_SIZE}&page=${page}`);
        all.push(
          ...teams.map(({ slug, organization }) => ({
            organisation: foldAscii(organization.login),
            organisationId: organization.id,
            slug: foldAscii(slug),
          })),
        );
        if (teams.length < PAGE_SIZE) break;
      }
      return all;
    },
  };
}

/** GitHub answers 403 to requests that do not say whose they are. */
const HEADERS = { "User-Agent": "gatehouse", "X-GitHub-Api-Version": "2022-11-28" };

/** GitHub's own clouds have a host for the API; a server of one's own has a path. */
function apiOf({ hostname, origin }: URL): string {
  const isCloud = hostname === "github.com" || hostname.endsWith(".ghe.com");
  return isCloud ? `https://api.${hostname}` : `${origin}/api/v3`;
}
