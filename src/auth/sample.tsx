// The sample sign-in: offers the people of the policy file, asks for no password. For trying things on one's own
// machine, so it refuses on any host that is not loopback, whatever the configuration says.
import type { Member } from "../policy/model.ts";
import type { SignIn } from "./sign-in.ts";
import { CALLBACK_PATH } from "./sign-in.ts";

const ISSUER = "urn:gatehouse:sample";
const REFUSAL = "The sample sign-in works only on the machine that runs this server, at a localhost address.";

export interface SampleSignInOptions {
  readonly members: readonly Member[];
  /** Whether a host name is this machine's own. */
  readonly isLoopbackHost: (hostname: string) => boolean;
}

export function createSampleSignIn({ members, isLoopbackHost }: SampleSignInOptions): SignIn {
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
      const member = members.find((candidate) => candidate.email === account);
      if (member === undefined) return { refused: "There is no such account." };
      // At this issuer, and at no other, the address is the account's name.
      return { claims: { issuer: ISSUER, subject: member.email, email: member.email, groups: [] } };
    },
  };
}

function AccountForm({ members, state }: { readonly members: readonly Member[]; readonly state: string }) {
  return (
    <>
      <p>This is a sample sign-in without passwords. Choose the account to continue as.</p>
      <form method="post" action={`${CALLBACK_PATH}?state=${encodeURIComponent(state)}`}>
        {members.map((member) => (
          <button type="submit" name="account" value={member.email}>
            <strong>{member.name}</strong> <span>{member.email}</span>
          </button>
        ))}
      </form>
    </>
  );
}
