// The sample sign-in: offers the people of the policy file, asks for no password. For trying things on one's own
// machine, so it refuses on any host that is not loopback, whatever the configuration says.
import * as z from "zod";
import { parseEmailAddress } from "../lib/email-address.ts";
import { isLoopbackHost } from "../lib/loopback.ts";
import type { Member } from "../policy/model.ts";
import { CALLBACK_PATH } from "./sign-in.ts";
import type { SignIn, SignedIn } from "./sign-in.ts";

const ISSUER = "urn:gatehouse:sample";
const REFUSAL = "The sample sign-in works only on the machine that runs this server, at a localhost address.";

const renewalSchema = z.object({ issuer: z.literal(ISSUER), account: z.string() });

export interface SampleSignInOptions {
  readonly members: readonly Member[];
}

export function createSampleSignIn({ members }: SampleSignInOptions): SignIn {
  const signedIn = (account: unknown): SignedIn | undefined => {
    const email = parseEmailAddress(account);
    if (email === undefined || !members.some((member) => member.email === email)) return undefined;
    // At this issuer, and at no other, the address is the account's name.
    return {
      claims: { issuer: ISSUER, subject: email, email, groups: [] },
      renewal: { issuer: ISSUER, account: email } satisfies z.output<typeof renewalSchema>,
    };
  };
  const refusal = (request: Request): string | undefined =>
    isLoopbackHost(new URL(request.url).hostname) ? undefined : REFUSAL;
  return {
    refusal,
    start: async () => ({
      data: null,
      next: async (state) => ({
        page: { title: "Who are you?", body: <AccountForm members={members} state={state} /> },
      }),
    }),
    async finish(request) {
      const refused = refusal(request);
      if (refused !== undefined) return { refused };
      const account = request.method === "POST" ? (await request.formData()).get("account") : undefined;
      return signedIn(account) ?? { refused: "There is no such account." };
    },
    async renew(renewal) {
      const parsed = renewalSchema.safeParse(renewal);
      const again = parsed.success ? signedIn(parsed.data.account) : undefined;
      if (again === undefined) return { kind: "ended", reason: "the sample has no such account" };
      return { kind: "current", signedIn: again };
    },
  };
}

function AccountForm({ members, state }: { readonly members: readonly Member[]; readonly state: string }) {
  return (
    <>
      <p class="soft">This is a sample sign-in without passwords. Choose the account to continue as.</p>
      <form method="post" action={`${CALLBACK_PATH}?state=${encodeURIComponent(state)}`}>
        {members.map((member) => (
          <button class="choice" type="submit" name="account" value={member.email}>
            <strong>{member.name}</strong> <span>{member.email}</span>
          </button>
        ))}
      </form>
    </>
  );
}
