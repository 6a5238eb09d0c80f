// Parses the sign-in settings from the variables and secrets of the deployment. Errors name the variable, its value and the values it
// takes; they never contain the value of a secret.
import { foldAscii } from "../lib/email-address.ts";
import { isLoopbackHost } from "../lib/loopback.ts";

/** The settings of sign-in at an OpenID Connect issuer. */
export interface OidcSettings {
  readonly method: "oidc";
  readonly issuer: URL;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly scopes: string;
  readonly groupsClaim: string;
  /** Additional query parameters of the authorization request. */
  readonly parameters: readonly (readonly [string, string])[];
  /** Whether to accept addresses of an issuer that does not send `email_verified`. */
  readonly unverifiedEmails: "refuse" | "accept";
}

/** The settings of sign-in with GitHub. */
export interface GitHubSettings {
  readonly method: "github";
  /** `https://github.com`, or the URL of a GitHub Enterprise Server. */
  readonly webUrl: URL;
  readonly clientId: string;
  readonly clientSecret: string;
  /** The organisations whose members may sign in, in lower case, because GitHub ignores case. */
  readonly organisations: readonly string[];
  /** The ids of pinned organisations: an organisation with the same name and another id is a different organisation. */
  readonly organisationIds: ReadonlyMap<string, number>;
}

/** The settings of sign-in with Cloudflare Access. */
export interface CloudflareAccessSettings {
  readonly method: "access";
  /** `https://team.cloudflareaccess.com`, which is also the issuer of its JWTs. */
  readonly teamUrl: URL;
  /** The AUD tag of the Access application. */
  readonly audience: string;
}

/** The settings of the chosen sign-in method. */
export type SignInSettings =
  | { readonly method: "none" }
  | { readonly method: "sample" }
  | OidcSettings
  | GitHubSettings
  | CloudflareAccessSettings;

/** Every variable that `parseSignIn` reads. `npm start` also takes them from its environment. */
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

type SignInVariable = (typeof SIGN_IN_VARIABLES)[number];

/** The sign-in variables that are secrets, set with `wrangler secret put`. */
export const SIGN_IN_SECRETS: readonly SignInVariable[] = ["OIDC_CLIENT_SECRET", "GITHUB_CLIENT_SECRET"];

/**
 * Parses the sign-in settings; `origin` is where the deployment is served. Throws a `TypeError` that names the variable, its value and
 * the values it takes.
 */
export function parseSignIn(variables: object, origin: string): SignInSettings {
  const method = readText(variables, "GATEHOUSE_SIGN_IN", "none");
  switch (method) {
    case "none":
      return { method };
    case "sample":
      // The sample sign-in asks for no password.
      if (isLoopbackHost(new URL(origin).hostname)) return { method };
      throw createSettingError(variables, "GATEHOUSE_SIGN_IN", "sample only where GATEHOUSE_URL is on localhost");
    case "oidc":
      return parseOidc(variables);
    case "github":
      return parseGitHub(variables);
    case "access":
      return {
        method,
        teamUrl: parseOrigin(
          variables,
          "ACCESS_TEAM_URL",
          "the team's URL, such as https://example.cloudflareaccess.com",
        ),
        audience: requireMatch(
          variables,
          "ACCESS_AUD",
          /^[0-9a-f]{64}$/,
          "the AUD tag of the application, 64 hex digits",
        ),
      };
    default:
      throw createSettingError(variables, "GATEHOUSE_SIGN_IN", "none, sample, oidc, github or access");
  }
}

/** The variable that says whether clients may use the URL of a metadata document as their client id. */
export const CLIENT_DOCUMENTS_VARIABLE = "GATEHOUSE_CLIENT_METADATA_DOCUMENTS";

/** Whether this server fetches clients' metadata documents. Throws a `TypeError` that names the variable, its value and what it takes. */
export function parseClientDocuments(variables: object): boolean {
  const value: unknown = Reflect.get(variables, CLIENT_DOCUMENTS_VARIABLE) ?? "";
  if (value === "" || value === "on") return true;
  if (value === "off") return false;
  throw new TypeError(`${CLIENT_DOCUMENTS_VARIABLE} is ${JSON.stringify(value)}. It takes on or off.`);
}

function parseOidc(variables: object): OidcSettings {
  const issuer = parseUrl(variables, "OIDC_ISSUER", "the issuer's URL, such as https://login.example.com");
  if (issuer.search !== "" || issuer.hash !== "")
    throw createSettingError(variables, "OIDC_ISSUER", "a URL without query and fragment");
  const expectedScopes = "scopes separated by spaces, including openid";
  const scopes = requireMatch(
    variables,
    "OIDC_SCOPES",
    /^(?:\S+ )*openid(?: \S+)*$/,
    expectedScopes,
    "openid email offline_access",
  );
  return {
    method: "oidc",
    issuer,
    clientId: requireText(variables, "OIDC_CLIENT_ID", "the id of the client that you registered at the issuer"),
    clientSecret: requireText(variables, "OIDC_CLIENT_SECRET", "the secret of that client"),
    scopes,
    groupsClaim: readText(variables, "OIDC_GROUPS_CLAIM", "groups"),
    parameters: parseParameters(variables),
    unverifiedEmails: parseUnverifiedEmails(variables),
  };
}

/** Parameters that the protocol sets; changing them would disable a check. */
const PROTOCOL_PARAMETERS =
  /^(?:client_id|redirect_uri|response_type|response_mode|scope|state|nonce|code_challenge(?:_method)?|request(?:_uri)?)$/;

function parseParameters(variables: object): readonly (readonly [string, string])[] {
  const expected =
    "query parameters, such as prompt=consent&access_type=offline, except parameters that the protocol sets";
  const parameters = [...new URLSearchParams(readText(variables, "OIDC_PARAMETERS", ""))];
  if (parameters.some(([name]) => name === "" || PROTOCOL_PARAMETERS.test(name)))
    throw createSettingError(variables, "OIDC_PARAMETERS", expected);
  return parameters;
}

function parseUnverifiedEmails(variables: object): "refuse" | "accept" {
  const choice = readText(variables, "OIDC_UNVERIFIED_EMAILS", "refuse");
  if (choice === "refuse" || choice === "accept") return choice;
  throw createSettingError(variables, "OIDC_UNVERIFIED_EMAILS", "refuse or accept");
}

function parseGitHub(variables: object): GitHubSettings {
  return {
    method: "github",
    webUrl: parseOrigin(
      variables,
      "GITHUB_URL",
      "the URL of a GitHub, such as https://github.com",
      "https://github.com",
    ),
    clientId: requireText(variables, "GITHUB_CLIENT_ID", "the client id of your OAuth app or GitHub App"),
    clientSecret: requireText(variables, "GITHUB_CLIENT_SECRET", "a client secret of that app"),
    ...parseOrganisations(variables),
  };
}

/** `acme#1001`: a name, and the id of the organisation at GitHub, which never changes. */
const ORGANISATION = /^([A-Za-z0-9][A-Za-z0-9-]{0,38})(?:#([1-9][0-9]{0,14}))?$/;

function parseOrganisations(variables: object): Pick<GitHubSettings, "organisations" | "organisationIds"> {
  const expected =
    "the organisations whose members may sign in, separated by commas, with one id each, such as acme#1001,acme-labs#1002";
  const ids = new Map<string, string | undefined>();
  for (const entry of requireText(variables, "GITHUB_ORGANISATIONS", expected).split(",")) {
    const [, writtenName, id] = ORGANISATION.exec(entry.trim()) ?? [];
    const name = foldAscii(writtenName ?? "");
    if (name === "" || (ids.has(name) && ids.get(name) !== id))
      throw createSettingError(variables, "GITHUB_ORGANISATIONS", expected);
    ids.set(name, id);
  }
  const pinnedIds = [...ids].flatMap(([name, id]): [string, number][] =>
    id === undefined ? [] : [[name, Number(id)]],
  );
  return { organisations: [...ids.keys()], organisationIds: new Map(pinnedIds) };
}

/** Treats empty as unset, because wrangler can empty a variable but not remove it. */
function readText(variables: object, name: SignInVariable, fallback: string): string {
  const value: unknown = Reflect.get(variables, name);
  if (value === undefined || value === "") return fallback;
  if (typeof value !== "string") throw createSettingError(variables, name, "text");
  return value;
}

function requireText(variables: object, name: SignInVariable, expected: string): string {
  const text = readText(variables, name, "");
  if (text === "") throw createSettingError(variables, name, expected);
  return text;
}

function requireMatch(
  variables: object,
  name: SignInVariable,
  pattern: RegExp,
  expected: string,
  fallback = "",
): string {
  const text = readText(variables, name, fallback);
  if (!pattern.test(text)) throw createSettingError(variables, name, expected);
  return text;
}

/** Parses a URL that secrets and codes are sent to, so it must be https or a loopback host. */
function parseUrl(variables: object, name: SignInVariable, expected: string, fallback = ""): URL {
  const text = readText(variables, name, fallback);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isSecure = url?.protocol === "https:" || (url?.protocol === "http:" && isLoopbackHost(url.hostname));
  if (url === undefined || !isSecure || url.username !== "" || url.password !== "")
    throw createSettingError(variables, name, `${expected} (http only on localhost)`);
  return url;
}

function parseOrigin(variables: object, name: SignInVariable, expected: string, fallback = ""): URL {
  const url = parseUrl(variables, name, expected, fallback);
  if (url.href !== `${url.origin}/`) throw createSettingError(variables, name, `${expected}, without a path`);
  return url;
}

function createSettingError(variables: object, name: SignInVariable, expected: string): TypeError {
  const value: unknown = Reflect.get(variables, name);
  const isSet = value !== undefined && value !== "";
  const shown = SIGN_IN_SECRETS.includes(name) ? "set to an invalid value" : JSON.stringify(value);
  return new TypeError(`${name} is ${isSet ? shown : "not set"}. It takes ${expected}.`);
}
