// Sign-in by Cloudflare Access, standing in front of CALLBACK_PATH: it signs people in there and passes their request on with
// a signed token. Groups come from Access's own record of the person, which the token opens for as long as it lives.
import { createRemoteJWKSet, decodeJwt, jwtVerify } from "jose";
import * as z from "zod";
import { parseEmailAddress } from "../lib/email-address.ts";
import { ADDRESS_REFUSAL, VAGUE_REFUSAL, describeAddressFault, describeFault, providerDeadline } from "./fault.ts";
import { keepVisibleGroups } from "./group-names.ts";
import type { AccessSettings } from "./settings.ts";
import { CALLBACK_PATH } from "./sign-in.ts";
import type { Renewed, SignIn, SignInEnd, SignInParts, SignedIn } from "./sign-in.ts";

/** Access sets it on every request that it lets through; anybody else can set it too, so only its signature counts. */
const TOKEN_HEADER = "Cf-Access-Jwt-Assertion";
const CLOCK_TOLERANCE_SECONDS = 30;
/** Answers that mean that Access no longer knows the token's session. */
const FINAL_STATUSES = [400, 401, 403, 404];

/** A person's token: those of programs (service tokens) have no address and an empty subject. */
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

export function createAccessSignIn({ settings, origin, now, log }: SignInParts<AccessSettings>): SignIn {
  const { team, audience } = settings;
  const issuer = team.origin;

  async function finish(request: Request): Promise<SignInEnd> {
    try {
      const token = request.headers.get(TOKEN_HEADER);
      if (token === null)
        throw new TypeError(`there is no ${TOKEN_HEADER}: Access does not stand before ${CALLBACK_PATH}`);
      // Made anew each time, so that a new key counts at once.
      const keys = createRemoteJWKSet(new URL("/cdn-cgi/access/certs", team));
      await jwtVerify(token, keys, {
        issuer,
        audience,
        algorithms: ["RS256"],
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        requiredClaims: ["exp", "iat"],
        currentDate: new Date(now()),
      });
      return await readPerson(token);
    } catch (error) {
      log(`sign-in: refused: ${describeFault(error)}`);
      return { refused: error instanceof AddressFault ? ADDRESS_REFUSAL : VAGUE_REFUSAL };
    }
  }

  /** Of a token that was verified, now or when it came. */
  async function readPerson(token: string): Promise<SignedIn> {
    const { iss, sub, email: claimed } = claimsSchema.parse(decodeJwt(token));
    const response = await fetch(new URL("/cdn-cgi/access/get-identity", team), {
      headers: { Cookie: `CF_Authorization=${token}` },
      redirect: "manual",
      signal: providerDeadline(),
    });
    if (!response.ok) throw new AccessFault(response.status);
    const identity = identitySchema.parse(await response.json());
    if (identity.user_uuid !== sub || identity.email !== claimed)
      throw new TypeError("the identity is another person's");
    const email = parseEmailAddress(claimed);
    if (email === undefined) throw new AddressFault(describeAddressFault(claimed));
    const groups = (identity.groups ?? []).map((group) => (typeof group === "string" ? group : group.name));
    return {
      claims: { issuer: iss, subject: sub, email, groups: keepVisibleGroups([...new Set(groups)], log) },
      renewal: { token, issuer, audience } satisfies z.output<typeof renewalSchema>,
    };
  }

  async function renew(renewal: unknown): Promise<Renewed> {
    const parsed = renewalSchema.safeParse(renewal);
    if (!parsed.success || parsed.data.issuer !== issuer || parsed.data.audience !== audience)
      return { kind: "ended", reason: "it is of another sign-in method or application" };
    // Its signature was checked when it came; the key may have been replaced since.
    const { exp = 0 } = decodeJwt(parsed.data.token);
    if (exp * 1000 <= now()) return { kind: "ended", reason: "the session at Access is over" };
    try {
      return { kind: "current", signedIn: await readPerson(parsed.data.token) };
    } catch (error) {
      const isEnded =
        error instanceof AddressFault || (error instanceof AccessFault && FINAL_STATUSES.includes(error.status));
      return { kind: isEnded ? "ended" : "unavailable", reason: describeFault(error) };
    }
  }

  return {
    refusal: () => undefined,
    start: async () => ({
      data: null,
      next: async (state) => ({ redirectTo: `${origin}${CALLBACK_PATH}?state=${encodeURIComponent(state)}` }),
    }),
    finish,
    renew,
  };
}

/** The person's address cannot be taken. */
class AddressFault extends Error {}

class AccessFault extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`get-identity answered ${status}`);
    this.name = "AccessFault";
    this.status = status;
  }
}
