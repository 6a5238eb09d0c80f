// A fake of Cloudflare Access on loopback: the team's keys, the identity endpoint, and the signed token that Access adds to requests for
// a protected application.
import { SignJWT, exportJWK, generateKeyPair } from "jose";
import { startStandIn } from "./stand-in.ts";
import type { StandIn } from "./stand-in.ts";

/** A user as Access knows them. */
interface AccessPerson {
  readonly sub: string;
  readonly email: string;
  readonly groups: readonly (string | { readonly id: string; readonly name: string; readonly email: string })[];
}

/** The fake, with the knobs that tests turn. */
export interface Access extends StandIn {
  person: AccessPerson;
  /** Changes the claims of the next tokens, and signs them with `key` instead of the team's key. */
  alter: { readonly claims: (claims: Record<string, unknown>) => object; readonly key?: CryptoKey } | undefined;
  /** Whether requests to the application carry a token at all. */
  isBefore: boolean;
  /** Creates the token for a request of the current user. */
  token(): Promise<string>;
  rotateKeys(): Promise<void>;
  /** Ends all sessions, as an Access administrator can. */
  revoke(): void;
}

export const AUDIENCE = "a".repeat(64);

/** Starts the fake. */
export async function startAccess(): Promise<Access> {
  const sessions = new Map<string, AccessPerson["sub"]>();
  let key = await newKey();

  const standIn = await startStandIn(async (request, fault) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/cdn-cgi/access/certs") return Response.json({ keys: [key.jwk] });
    if (pathname !== "/cdn-cgi/access/get-identity") return fault("no such path");
    const token = /^CF_Authorization=(.+)$/.exec(request.headers.get("cookie") ?? "")?.[1];
    if (token === undefined) return fault("no token");
    const { sub, email, groups } = access.person;
    if (sessions.get(token) !== sub) return Response.json({ err: "no session" }, { status: 403 });
    return Response.json({ user_uuid: sub, email, groups, idp: { type: "oidc" } });
  });

  const access: Access = Object.assign(standIn, {
    person: { sub: "", email: "", groups: [] },
    alter: undefined,
    isBefore: true,
    async token() {
      const { sub, email } = access.person;
      const iat = Math.floor(Date.now() / 1000);
      const defaults = { iss: standIn.url, aud: [AUDIENCE], sub, email, type: "app", iat, nbf: iat, exp: iat + 3600 };
      const claims = access.alter?.claims(defaults) ?? defaults;
      const token = new SignJWT({ ...claims }).setProtectedHeader({ alg: "RS256", kid: key.jwk.kid });
      const signed = await token.sign(access.alter?.key ?? key.privateKey);
      sessions.set(signed, sub);
      return signed;
    },
    async rotateKeys() {
      key = await newKey();
    },
    revoke: () => sessions.clear(),
  });
  return access;
}

async function newKey() {
  const { privateKey, publicKey } = await generateKeyPair("RS256");
  const jwk = { ...(await exportJWK(publicKey)), kid: crypto.randomUUID(), alg: "RS256", use: "sig" };
  return { privateKey, jwk };
}
