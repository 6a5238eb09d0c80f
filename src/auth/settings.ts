// How people sign in, from the variables and secrets of the deployment. Parsed once; what is missing or wrong is told with its
// name, what it got and what it takes. A secret's value is never told.
import { foldAscii } from "../lib/email-address.ts";
import { isLoopbackHost } from "../lib/loopback.ts";

export interface OidcSettings {
  readonly method: "oidc";
  readonly issuer: URL;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly scopes: string;
  readonly groupsClaim: string;
  /** Query parameters of the authorization request besides those of the protocol. */
  readonly parameters: readonly (readonly [string, string])[];
  /** Whether addresses count that the issuer does not call verified. */
  readonly unverifiedEmails: "refuse" | "accept";
}

export interface GitHubSettings {
  readonly method: "github";
  /** `https://github.com`, or a GitHub Enterprise Server. */
  readonly web: URL;
  readonly clientId: string;
  readonly clientSecret: string;
  /** Whose members may sign in; in lower case, as GitHub does not tell cases apart. */
  readonly organisations: readonly string[];
  /** The ids of those that are pinned: an organisation of the same name and another id is another organisation. */
  readonly organisationIds: ReadonlyMap<string, number>;
}

export interface AccessSettings {
  readonly method: "access";
  /** `https://team.cloudflareaccess.com`, also the issuer of its tokens. */
  readonly team: URL;
  /** The AUD tag of the Access application. */
  readonly audience: string;
}

export type SignInSettings =
  { readonly method: "none" } | { readonly method: "sample" } | OidcSettings | GitHubSettings | AccessSettings;

/** Every variable that is read here. `npm start` takes them from its own environment too. */
export const SIGN_IN_VARIABLES = [
  "GATEHOUSE_SIGN_IN",
  "OIDC_ISSUER",
  "OIDC_CLIENT_ID",
  "OIDC_CLIENT_SECRET",
  "OIDC_SCOPES",
  "OIDC_GROUPS_CLAIM",
  "OIDC_PARAMETERS",
  "OIDC_UNVERIFIED_EMAILS",
  "GITHUB_CLIENT_ID",
  "GITHUB_CLIENT_SECRET",
  "GITHUB_ORGANISATIONS",
  "GITHUB_URL",
  "ACCESS_TEAM_URL",
  "ACCESS_AUD",
] as const;

export type SignInVariable = (typeof SIGN_IN_VARIABLES)[number];

/** Those that `wrangler secret put` sets. */
export const SIGN_IN_SECRETS: readonly SignInVariable[] = ["OIDC_CLIENT_SECRET", "GITHUB_CLIENT_SECRET"];

/**
 * Parses the variables; `origin` is where the deployment is served. Throws `TypeError` naming the variable, what it got and
 * what it takes.
 */
export function parseSignIn(variables: object, origin: string): SignInSettings {
  const method = textOf(variables, "GATEHOUSE_SIGN_IN", "none");
  switch (method) {
    case "none":
      return { method };
    case "sample":
      // It asks for no password.
      if (isLoopbackHost(new URL(origin).hostname)) return { method };
      throw wrong(variables, "GATEHOUSE_SIGN_IN", "sample only where GATEHOUSE_URL is on localhost");
    case "oidc":
      return parseOidc(variables);
    case "github":
      return parseGitHub(variables);
    case "access":
      return {
        method,
        team: originOf(variables, "ACCESS_TEAM_URL", "the team's URL, such as https://example.cloudflareaccess.com"),
        audience: matching(variables, "ACCESS_AUD", /^[0-9a-f]{64}$/, "the AUD tag of the application, 64 hex digits"),
      };
    default:
      throw wrong(variables, "GATEHOUSE_SIGN_IN", "none, sample, oidc, github or access");
  }
}

/** Decides whether clients may name themselves by the address of a metadata document. */
export const CLIENT_DOCUMENTS_VARIABLE = "GATEHOUSE_CLIENT_METADATA_DOCUMENTS";

/** Whether they may: then this server fetches those documents. Throws `TypeError` naming the variable, what it got and what it takes. */
export function parseClientDocuments(variables: object): boolean {
  const value: unknown = Reflect.get(variables, CLIENT_DOCUMENTS_VARIABLE) ?? "";
  if (value === "" || value === "on") return true;
  if (value === "off") return false;
  throw new TypeError(`${CLIENT_DOCUMENTS_VARIABLE} is ${JSON.stringify(value)}. It takes on or off.`);
}

function parseOidc(variables: object): OidcSettings {
  const issuer = urlOf(variables, "OIDC_ISSUER", "the issuer's URL, such as https://login.example.com");
  if (issuer.search !== "" || issuer.hash !== "")
    throw wrong(variables, "OIDC_ISSUER", "a URL without query and fragment");
  const takesScopes = "scopes with spaces between, openid among them";
  const scopes = matching(
    variables,
    "OIDC_SCOPES",
    /^(?:\S+ )*openid(?: \S+)*$/,
    takesScopes,
    "openid email offline_access",
  );
  return {
    method: "oidc",
    issuer,
    clientId: required(variables, "OIDC_CLIENT_ID", "the id of the client that you registered at the issuer"),
    clientSecret: required(variables, "OIDC_CLIENT_SECRET", "the secret of that client"),
    scopes,
    groupsClaim: textOf(variables, "OIDC_GROUPS_CLAIM", "groups"),
    parameters: parametersOf(variables),
    unverifiedEmails: unverifiedEmailsOf(variables),
  };
}

/** What the protocol needs for itself; changing it would undo a check. */
const OWN_PARAMETERS =
  /^(?:client_id|redirect_uri|response_type|response_mode|scope|state|nonce|code_challenge(?:_method)?|request(?:_uri)?)$/;

function parametersOf(variables: object): readonly (readonly [string, string])[] {
  const takes = "query parameters, such as prompt=consent&access_type=offline, but none that the protocol sets itself";
  const parameters = [...new URLSearchParams(textOf(variables, "OIDC_PARAMETERS", ""))];
  if (parameters.some(([name]) => name === "" || OWN_PARAMETERS.test(name)))
    throw wrong(variables, "OIDC_PARAMETERS", takes);
  return parameters;
}

function unverifiedEmailsOf(variables: object): "refuse" | "accept" {
  const choice = textOf(variables, "OIDC_UNVERIFIED_EMAILS", "refuse");
  if (choice === "refuse" || choice === "accept") return choice;
  throw wrong(variables, "OIDC_UNVERIFIED_EMAILS", "refuse or accept");
}

function parseGitHub(variables: object): GitHubSettings {
  return {
    method: "github",
    web: originOf(variables, "GITHUB_URL", "the URL of a GitHub, such as https://github.com", "https://github.com"),
    clientId: required(variables, "GITHUB_CLIENT_ID", "the client id of your OAuth app or GitHub App"),
    clientSecret: required(variables, "GITHUB_CLIENT_SECRET", "a client secret of that app"),
    ...organisationsOf(variables),
  };
}

/** `acme#1001`: a name, and the id that GitHub has given to the organisation for ever. */
const ORGANISATION = /^([A-Za-z0-9][A-Za-z0-9-]{0,38})(?:#([1-9][0-9]{0,14}))?$/;

function organisationsOf(variables: object): Pick<GitHubSettings, "organisations" | "organisationIds"> {
  const takes =
    "the organisations whose members may sign in, with commas between and with one id each, such as acme#1001,acme-labs#1002";
  const ids = new Map<string, string | undefined>();
  for (const written of required(variables, "GITHUB_ORGANISATIONS", takes).split(",")) {
    const [, spelt, id] = ORGANISATION.exec(written.trim()) ?? [];
    const name = foldAscii(spelt ?? "");
    if (name === "" || (ids.has(name) && ids.get(name) !== id)) throw wrong(variables, "GITHUB_ORGANISATIONS", takes);
    ids.set(name, id);
  }
  const pinned = [...ids].flatMap(([name, id]): [string, number][] => (id === undefined ? [] : [[name, Number(id)]]));
  return { organisations: [...ids.keys()], organisationIds: new Map(pinned) };
}

/** Unset and empty are the same: wrangler's variables cannot be taken away, only emptied. */
function textOf(variables: object, name: SignInVariable, fallback: string): string {
  const value: unknown = Reflect.get(variables, name);
  if (value === undefined || value === "") return fallback;
  if (typeof value !== "string") throw wrong(variables, name, "text");
  return value;
}

function required(variables: object, name: SignInVariable, takes: string): string {
  const text = textOf(variables, name, "");
  if (text === "") throw wrong(variables, name, takes);
  return text;
}

function matching(variables: object, name: SignInVariable, form: RegExp, takes: string, fallback = ""): string {
  const text = textOf(variables, name, fallback);
  if (!form.test(text)) throw wrong(variables, name, takes);
  return text;
}

/** Secrets and codes go to it: https, or this machine. */
function urlOf(variables: object, name: SignInVariable, takes: string, fallback = ""): URL {
  const text = textOf(variables, name, fallback);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isSecure = url?.protocol === "https:" || (url?.protocol === "http:" && isLoopbackHost(url.hostname));
  if (url === undefined || !isSecure || url.username !== "" || url.password !== "")
    throw wrong(variables, name, `${takes} (http only on localhost)`);
  return url;
}

function originOf(variables: object, name: SignInVariable, takes: string, fallback = ""): URL {
  const url = urlOf(variables, name, takes, fallback);
  if (url.href !== `${url.origin}/`) throw wrong(variables, name, `${takes}, without a path`);
  return url;
}

function wrong(variables: object, name: SignInVariable, takes: string): TypeError {
  const value: unknown = Reflect.get(variables, name);
  const isSet = value !== undefined && value !== "";
  const got = SIGN_IN_SECRETS.includes(name) ? "something else" : JSON.stringify(value);
  return new TypeError(`${name} is ${isSet ? got : "not set"}. It takes ${takes}.`);
}
