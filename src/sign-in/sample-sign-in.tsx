// The sample sign-in: offers the members of the policy file and of the members table, and asks for no password. It is for trying Gatehouse
// on your own machine, so it refuses every host that is not a loopback host, whatever the configuration says.
import * as z from "zod";
import { parseEmailAddress } from "../lib/email-address.ts";
import { isLoopbackHost } from "../lib/loopback.ts";
import type { Member } from "../policy/model.ts";
import { CALLBACK_PATH } from "./sign-in.ts";
import type { SignIn, SignedIn } from "./sign-in.ts";

const ISSUER = "urn:gatehouse:sample";
const REFUSAL = "The sample sign-in works only on the machine that runs this server, at a localhost address.";

const renewalSchema = z.object({ issuer: z.literal(ISSUER), account: z.string() });

/** The users whom it offers. */
export interface SampleAccounts {
  /** Those of the policy file. */
  readonly members: readonly Member[];
  /** Lists the addresses of the members table. */
  readonly listTableMembers: () => Promise<readonly string[]>;
}

/** A user as whom anyone on this machine can continue. */
interface Account {
  readonly email: string;
  /** Only the policy file has names. */
  readonly name?: string;
}

/** Creates the sample sign-in. */
export function createSampleSignIn({ members, listTableMembers }: SampleAccounts): SignIn {
  const listAccounts = async (): Promise<readonly Account[]> => {
    const declared = new Set(members.map(({ email }) => email));
    // An address in another spelling than sign-in verifies would be no user.
    const added = (await listTableMembers()).filter(
      (email) => parseEmailAddress(email) === email && !declared.has(email),
    );
    return [...members, ...added.map((email) => ({ email }))];
  };
  const signInAccount = async (account: unknown): Promise<SignedIn | undefined> => {
    const email = parseEmailAddress(account);
    if (email === undefined || !(await listAccounts()).some((known) => known.email === email)) return undefined;
    // Only at this issuer is the address the account's stable name.
    return {
      claims: { issuer: ISSUER, subject: email, email, groups: [] },
      renewal: { issuer: ISSUER, account: email } satisfies z.output<typeof renewalSchema>,
    };
  };
  const findRefusal = (request: Request): string | undefined =>
    isLoopbackHost(new URL(request.url).hostname) ? undefined : REFUSAL;
  return {
    findRefusal,
    start: async () => ({
      data: null,
      next: async (state) => ({
        page: { title: "Who are you?", body: <AccountForm accounts={await listAccounts()} state={state} /> },
      }),
    }),
    async finish(request) {
      const refused = findRefusal(request);
      if (refused !== undefined) return { refused };
      const account = request.method === "POST" ? (await request.formData()).get("account") : undefined;
      return (await signInAccount(account)) ?? { refused: "There is no such account." };
    },
    async renew(renewal) {
      const parsed = renewalSchema.safeParse(renewal);
      const signedIn = parsed.success ? await signInAccount(parsed.data.account) : undefined;
      if (signedIn === undefined) return { kind: "ended", reason: "the sample has no such account" };
      return { kind: "current", signedIn };
    },
  };
}

function AccountForm({ accounts, state }: { readonly accounts: readonly Account[]; readonly state: string }) {
  return (
    <>
      <p class="soft">This is a sample sign-in without passwords. Choose the account to continue as.</p>
      <form method="post" action={`${CALLBACK_PATH}?state=${encodeURIComponent(state)}`}>
        {accounts.map(({ email, name }) => (
          <button class="choice" type="submit" name="account" value={email}>
            {name === undefined ? <strong>{email}</strong> : [<strong>{name}</strong>, " ", <span>{email}</span>]}
          </button>
        ))}
      </form>
    </>
  );
}
