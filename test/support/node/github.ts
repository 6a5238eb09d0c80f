// A fake of GitHub's sign-in and of the API that sign-in uses, on loopback, with the paths of a GitHub Enterprise Server.
import { createHash, randomUUID } from "node:crypto";
import { startStandIn } from "./stand-in.ts";
import type { StandIn } from "./stand-in.ts";

/** A GitHub account. */
export interface GitHubPerson {
  readonly id: number;
  readonly emails: readonly { readonly email: string; readonly primary: boolean; readonly verified: boolean }[];
  /** The state of the membership by organisation. */
  readonly organisations: Readonly<Record<string, "active" | "pending">>;
  /** Each as `organisation/team`. */
  readonly teams: readonly string[];
}

/** The ids of organisations by lower-case name. */
const IDS: Readonly<Record<string, number>> = { acme: 1001, "acme-labs": 1002, other: 1003 };

/** The fake, with the knobs that tests turn. */
export interface GitHub extends StandIn {
  /** The account that signs in next and that owns all issued tokens. */
  person: GitHubPerson;
  /** Whether the app's tokens expire, as those of a GitHub App do. */
  tokensExpire: boolean;
  /** Invalidates every token, as when the user revokes the app's access. */
  revokeTokens(): void;
  /** New ids of organisations, by name: another organisation has taken the name of a renamed one. */
  takenOver: ReadonlyMap<string, number>;
  /** The number of refreshes. */
  refreshes: number;
}

/** The OAuth app that Gatehouse is registered as. */
export const APP = { id: "Iv1.gatehouse", secret: "github-secret-of-the-app" };

/** Starts the fake. */
export async function startGitHub(redirectUri: string): Promise<GitHub> {
  const codes = new Map<string, string>();
  const tokens = new Set<string>();
  const refreshTokens = new Set<string>();

  function authorize(query: URLSearchParams, fault: (text: string) => Response): Response {
    const challenge = query.get("code_challenge") ?? "";
    if (query.get("client_id") !== APP.id) return fault("another client");
    if (query.get("redirect_uri") !== redirectUri) return fault("another redirect URI");
    if (query.get("scope") !== "read:org user:email") return fault(`scope ${query.get("scope")}`);
    if (query.get("code_challenge_method") !== "S256" || challenge.length !== 43) return fault("no PKCE");
    const code = randomUUID();
    codes.set(code, challenge);
    const back = new URL(redirectUri);
    back.search = new URLSearchParams({ code, state: query.get("state") ?? "" }).toString();
    return Response.redirect(back, 302);
  }

  /** Answers the token endpoint. GitHub sends its errors with status 200. */
  function exchange(form: URLSearchParams): object {
    if (form.get("client_id") !== APP.id || form.get("client_secret") !== APP.secret)
      return { error: "incorrect_client_credentials" };
    if (form.get("grant_type") === "refresh_token") {
      if (!refreshTokens.delete(form.get("refresh_token") ?? "")) return { error: "bad_refresh_token" };
      github.refreshes += 1;
    } else {
      const challenge = codes.get(form.get("code") ?? "");
      codes.delete(form.get("code") ?? "");
      const verifier = createHash("sha256")
        .update(form.get("code_verifier") ?? "")
        .digest("base64url");
      if (challenge === undefined || challenge !== verifier || form.get("redirect_uri") !== redirectUri)
        return { error: "bad_verification_code" };
    }
    const token = `gho_${randomUUID()}`;
    tokens.add(token);
    if (!github.tokensExpire) return { access_token: token, token_type: "bearer", scope: "read:org,user:email" };
    const refreshToken = `ghr_${randomUUID()}`;
    refreshTokens.add(refreshToken);
    // So short that each refresh by Gatehouse needs a new GitHub token.
    return { access_token: token, expires_in: 30, refresh_token: refreshToken, refresh_token_expires_in: 15_897_600 };
  }

  const organisationOf = (login: string) => {
    const name = login.toLowerCase();
    return { login, id: github.takenOver.get(name) ?? IDS[name] };
  };

  function api(path: string, query: URLSearchParams): Response {
    const { id, emails, organisations, teams } = github.person;
    if (path === "/user") return Response.json({ id, login: "some-user", email: "public@elsewhere.example" });
    if (path === "/user/emails") return Response.json(emails);
    if (path === "/user/teams") {
      const page = Number(query.get("page"));
      const size = Number(query.get("per_page"));
      const all = teams.map((team) => {
        const [login = "", slug] = team.split("/");
        return { slug, organization: organisationOf(login) };
      });
      return Response.json(all.slice((page - 1) * size, page * size));
    }
    const organisation = /^\/user\/memberships\/orgs\/([^/]+)$/.exec(path)?.[1] ?? "";
    const state = organisations[organisation];
    if (state === undefined) return Response.json({ message: "Not Found" }, { status: 404 });
    return Response.json({ state, role: "member", organization: organisationOf(organisation) });
  }

  const standIn = await startStandIn(async (request, fault) => {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/login/oauth/authorize") return authorize(searchParams, fault);
    if (request.headers.get("user-agent") !== "gatehouse") return fault("no user agent");
    if (pathname === "/login/oauth/access_token") {
      if (request.headers.get("accept") !== "application/json") return fault("does not ask for JSON");
      return Response.json(exchange(new URLSearchParams(await request.text())));
    }
    if (!pathname.startsWith("/api/v3/")) return fault("no such path");
    if (request.headers.get("accept") !== "application/vnd.github+json")
      return fault("does not ask for the API's JSON");
    const token = request.headers.get("authorization")?.replace(/^Bearer /, "") ?? "";
    if (!tokens.has(token)) return Response.json({ message: "Bad credentials" }, { status: 401 });
    return api(pathname.slice("/api/v3".length), searchParams);
  });
  const github: GitHub = Object.assign(standIn, {
    person: { id: 0, emails: [], organisations: {}, teams: [] },
    tokensExpire: false,
    takenOver: new Map(),
    refreshes: 0,
    revokeTokens: () => {
      tokens.clear();
      refreshTokens.clear();
    },
  });
  return github;
}
