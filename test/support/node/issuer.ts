// Runs a real OpenID Connect issuer on loopback, whose accounts, keys and answers tests can change. It signs every browser in as the
// account that the test chose.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { SignJWT, decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair } from "jose";
import { Provider } from "oidc-provider";
import type { Configuration, JWK } from "oidc-provider";
import { createIssuerStorage } from "./issuer-storage.ts";

/** An account's claims. */
interface IssuerAccount {
  readonly email: string | undefined;
  readonly email_verified: boolean | undefined;
  readonly groups: readonly string[];
}

/** The issuer, with the knobs that tests turn. */
export interface Issuer {
  readonly url: string;
  /** All accounts by id. Removing an account disables it. */
  readonly accounts: Map<string, IssuerAccount>;
  /** The id of the account that signs in next. */
  person: string;
  /** Changes the claims of ID tokens and signs them again, with the issuer's key or with `key`. */
  alter: { readonly claims: (claims: Record<string, unknown>) => object; readonly key?: CryptoKey } | undefined;
  /** Answers that replace the issuer's, by path. */
  readonly instead: Map<string, { readonly status: number; readonly body: object }>;
  /** The requests so far, as `METHOD /path`. */
  readonly requests: string[];
  /** Replaces the keys at once, without publishing the new ones before. */
  rotateKeys(): Promise<void>;
  close(): void;
}

/** How the issuer is configured. */
interface IssuerOptions {
  readonly redirectUri: string;
  /** Whether ID tokens contain the claims, or only the user info endpoint does. */
  readonly claimsInIdToken: boolean;
  readonly hasRefreshTokens?: boolean;
}

const CLIENT = { id: "gatehouse", secret: "issuer-secret-of-the-client" };

/** A deployment's variables for this issuer. */
export function variablesFor({ url }: Issuer): Record<string, string> {
  return {
    GATEHOUSE_SIGN_IN: "oidc",
    OIDC_ISSUER: url,
    OIDC_CLIENT_ID: CLIENT.id,
    OIDC_CLIENT_SECRET: CLIENT.secret,
    OIDC_SCOPES: "openid email groups offline_access",
    OIDC_PARAMETERS: "prompt=consent",
  };
}

/** Starts an issuer on a free port. */
export async function startIssuer(options: IssuerOptions): Promise<Issuer> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", issuer.url);
    issuer.requests.push(`${request.method} ${pathname}`);
    const instead = issuer.instead.get(pathname);
    if (instead === undefined) return current.handle(request, response);
    response.writeHead(instead.status, { "content-type": "application/json" });
    response.end(JSON.stringify(instead.body));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const storage = createIssuerStorage();
  const issuer: Issuer = {
    url: `http://127.0.0.1:${port}`,
    accounts: new Map(),
    person: "",
    alter: undefined,
    instead: new Map(),
    requests: [],
    async rotateKeys() {
      current = await createProvider(issuer, storage, options);
    },
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
  let current = await createProvider(issuer, storage, options);
  return issuer;
}

type Storage = ReturnType<typeof createIssuerStorage>;

async function createProvider(issuer: Issuer, adapter: Storage, options: IssuerOptions) {
  const { privateKey } = await generateKeyPair("RS256", { extractable: true });
  const kid = crypto.randomUUID();
  const key: JWK = { ...(await exportJWK(privateKey)), kid, use: "sig", alg: "RS256" };
  const provider = new Provider(issuer.url, { ...configuration(issuer, options, key), adapter });
  provider.use(async (context, next) => {
    await next();
    const body: unknown = context.body;
    if (context.path !== "/token" || issuer.alter === undefined || !isTokenAnswer(body)) return;
    const claims = issuer.alter.claims(decodeJwt(body.id_token));
    const { kid: keyId = "" } = decodeProtectedHeader(body.id_token);
    const token = new SignJWT({ ...claims }).setProtectedHeader({ alg: "RS256", kid: keyId });
    context.body = { ...body, id_token: await token.sign(issuer.alter.key ?? privateKey) };
  });
  const callback = provider.callback();
  return {
    handle(request: Parameters<typeof callback>[0], response: Parameters<typeof callback>[1]): void {
      const { pathname } = new URL(request.url ?? "/", issuer.url);
      const done = pathname.startsWith("/interaction/")
        ? finishInteraction(provider, issuer, request, response)
        : callback(request, response);
      Promise.resolve(done).catch((error: unknown) => {
        response.statusCode = 500;
        response.end(String(error));
      });
    },
  };
}

function isTokenAnswer(body: unknown): body is { readonly id_token: string } {
  return typeof body === "object" && body !== null && "id_token" in body && typeof body.id_token === "string";
}

function configuration(issuer: Issuer, options: IssuerOptions, key: JWK): Configuration {
  const grants = ["authorization_code", ...((options.hasRefreshTokens ?? true) ? ["refresh_token"] : [])];
  return {
    clients: [
      {
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        redirect_uris: [options.redirectUri],
        grant_types: grants,
      },
    ],
    jwks: { keys: [key] },
    cookies: { keys: ["cookies of the test's issuer"] },
    claims: { openid: ["sub"], email: ["email", "email_verified"], groups: ["groups"] },
    conformIdTokenClaims: !options.claimsInIdToken,
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
    pkce: { required: () => true },
    ttl: { Interaction: 600, Session: 600, Grant: 3600, AccessToken: 600, RefreshToken: 3600, IdToken: 600 },
    rotateRefreshToken: true,
    issueRefreshToken: async (_context, client) => client.grantTypeAllowed("refresh_token"),
    findAccount: (_context, id) => {
      const account = issuer.accounts.get(id);
      return account === undefined ? undefined : { accountId: id, claims: () => ({ sub: id, ...account }) };
    },
  };
}

/** Signs in and consents, as a user does at the issuer. */
async function finishInteraction(
  provider: Provider,
  issuer: Issuer,
  ...[request, response]: Parameters<Provider["interactionDetails"]>
): Promise<void> {
  const { params, prompt } = await provider.interactionDetails(request, response);
  if (prompt.name === "login")
    return provider.interactionFinished(request, response, { login: { accountId: issuer.person } });
  const grant = new provider.Grant({ accountId: issuer.person, clientId: String(params["client_id"]) });
  grant.addOIDCScope(String(params["scope"]));
  const consent = { grantId: await grant.save() };
  return provider.interactionFinished(request, response, { consent }, { mergeWithLastSubmission: true });
}
