// Sign-in with Cloudflare Access, which protects CALLBACK_PATH: it signs the user in and forwards the request with a signed JWT.
// Groups come from Access's get-identity endpoint, which accepts that JWT until it expires.
import { createRemoteJWKSet, decodeJwt, jwtVerify } from "jose";
import * as z from "zod";
import { parseEmailAddress } from "../lib/email-address.ts";
import {
  ADDRESS_REFUSAL,
  VAGUE_REFUSAL,
  describeAddressFault,
  describeError,
  createProviderTimeout,
} from "./provider-errors.ts";
import { keepVisibleGroups } from "./group-names.ts";
import type { CloudflareAccessSettings } from "./sign-in-settings.ts";
import { CALLBACK_PATH } from "./sign-in.ts";
import type { RenewalResult, SignIn, SignInResult, SignInDependencies, SignedIn } from "./sign-in.ts";

/** Access sets it on every request that it forwards. A request that bypasses Access can set it too, so only the signature counts. */
const JWT_HEADER = "Cf-Access-Jwt-Assertion";
const CLOCK_TOLERANCE_SECONDS = 30;
/** Statuses of get-identity which mean that the session of the JWT no longer exists. */
const FINAL_STATUSES = [400, 401, 403, 404];

/** The JWT of a user. A service token's JWT does not match: it has no email address and an empty subject. */
const claimsSchema = z.object({
  iss: z.string(),
  sub: z.string().min(1),
  email: z.string().min(1),
  type: z.literal("app"),
});
const renewalSchema = z.object({ token: z.string(), issuer: z.string(), audience: z.string() });
const groupSchema = z.union([z.string(), z.object({ name: z.string() })]);
const identitySchema = z.object({
  email: z.string().min(1),
  user_uuid: z.string(),
  groups: z.array(groupSchema).nullish(),
});

/** Creates the sign-in with Cloudflare Access. Renewal works until the JWT expires or Access revokes its session. */
export function createCloudflareAccessSignIn({
  settings,
  origin,
  now,
  log,
}: SignInDependencies<CloudflareAccessSettings>): SignIn {
  const { teamUrl, audience } = settings;
  const issuer = teamUrl.origin;

  async function finish(request: Request): Promise<SignInResult> {
    try {
      const jwt = request.headers.get(JWT_HEADER);
      if (jwt === null)
        throw new TypeError(`there is no ${JWT_HEADER}: Cloudflare Access does not protect ${CALLBACK_PATH}`);
      // The key set is fetched for each sign-in, so that a rotated key is accepted at once.
      const keys = createRemoteJWKSet(new URL("/cdn-cgi/access/certs", teamUrl));
      await jwtVerify(jwt, keys, {
        issuer,
        audience,
        algorithms: ["RS256"],
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        requiredClaims: ["exp", "iat"],
        currentDate: new Date(now()),
      });
      return await readUser(jwt);
    } catch (error) {
      log(`sign-in: refused: ${describeError(error)}`);
      return { refused: error instanceof EmailAddressError ? ADDRESS_REFUSAL : VAGUE_REFUSAL };
    }
  }

  /** Reads the user of a JWT whose signature has been verified, now or at the sign-in that stored it. */
  async function readUser(jwt: string): Promise<SignedIn> {
    const { iss, sub, email: claimedEmail } = claimsSchema.parse(decodeJwt(jwt));
    const response = await fetch(new URL("/cdn-cgi/access/get-identity", teamUrl), {
      headers: { Cookie: `CF_Authorization=${jwt}` },
      redirect: "manual",
      signal: createProviderTimeout(),
    });
    if (!response.ok) throw new GetIdentityError(response.status);
    const identity = identitySchema.parse(await response.json());
    if (identity.user_uuid !== sub || identity.email !== claimedEmail)
      throw new TypeError("the identity belongs to another user");
    const email = parseEmailAddress(claimedEmail);
    if (email === undefined) throw new EmailAddressError(describeAddressFault(claimedEmail));
    const groups = (identity.groups ?? []).map((group) => (typeof group === "string" ? group : group.name));
    return {
      claims: { issuer: iss, subject: sub, email, groups: keepVisibleGroups([...new Set(groups)], log) },
      renewal: { token: jwt, issuer, audience } satisfies z.output<typeof renewalSchema>,
    };
  }

  async function renew(renewal: unknown): Promise<RenewalResult> {
    const parsed = renewalSchema.safeParse(renewal);
    if (!parsed.success || parsed.data.issuer !== issuer || parsed.data.audience !== audience)
      return { kind: "ended", reason: "the connection was created with another sign-in method or Access application" };
    // Only the expiry is checked: the signature was verified at the sign-in, and the key may have been rotated since.
    const { exp = 0 } = decodeJwt(parsed.data.token);
    if (exp * 1000 <= now()) return { kind: "ended", reason: "the Cloudflare Access session has expired" };
    try {
      return { kind: "current", signedIn: await readUser(parsed.data.token) };
    } catch (error) {
      const isEnded =
        error instanceof EmailAddressError ||
        (error instanceof GetIdentityError && FINAL_STATUSES.includes(error.status));
      return { kind: isEnded ? "ended" : "unavailable", reason: describeError(error) };
    }
  }

  return {
    findRefusal: () => undefined,
    start: async () => ({
      data: null,
      next: async (state) => ({ redirectTo: `${origin}${CALLBACK_PATH}?state=${encodeURIComponent(state)}` }),
    }),
    finish,
    renew,
  };
}

/** The user's email address is not one that `parseEmailAddress` accepts. */
class EmailAddressError extends Error {}

class GetIdentityError extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`get-identity answered ${status}`);
    this.name = "AccessFault";
    this.status = status;
  }
}
