// The page at /: what this server is, how to connect an assistant to it, and, for a person who is signed in, what to ask and
// which connections act for them.
import { Hono } from "hono";
import type { Introduction } from "../access/introduction.ts";
import type { AuthorizeEnv } from "../auth/authorize.tsx";
import type { BrowserSession } from "../auth/browser-session.ts";
import { CsrfField } from "../auth/csrf.tsx";
import { SIGN_OUT_PATH, signInPath } from "../auth/sign-in.ts";
import type { SignIn } from "../auth/sign-in.ts";
import { AppError } from "../errors.ts";
import type { Identity } from "../lib/identity.ts";
import { htmlPage } from "../ui/layout.tsx";
import { CopyText, Notice } from "../ui/parts.tsx";
import { ClientPanels } from "./home-clients.tsx";
import { createConnectionRoutes } from "./home-connections.tsx";
import type { ConnectionOptions } from "./home-connections.tsx";
import { NoSources } from "./home-empty.tsx";
import { ConnectionList, Person } from "./home-person.tsx";

export interface HomeOptions extends ConnectionOptions {
  readonly organisation: string;
  /** Whom people ask for access. */
  readonly contact: string;
  readonly resource: string;
  /** Whether anything is served yet. */
  readonly hasSources: boolean;
  readonly signIn: SignIn;
  /** What a person may see. Errors: `AppError`s, whose messages are shown. */
  readonly introduce: (identity: Identity) => Promise<Introduction>;
}

export function createHomeRoutes(options: HomeOptions): Hono<AuthorizeEnv> {
  const app = new Hono<AuthorizeEnv>();
  app.get("/", ({ req }) => showHome(req.raw, options));
  app.route("/", createConnectionRoutes(options));
  return app;
}

async function showHome(raw: Request, options: HomeOptions): Promise<Response> {
  const { organisation, hasSources, sessions } = options;
  const session = await sessions.read(raw);
  const visitor = session === undefined ? undefined : <Visitor session={session} />;
  if (!hasSources)
    return htmlPage({ title: `${organisation}: a new Gatehouse`, organisation, visitor, body: <NoSources /> });
  const body =
    session === undefined ? (
      <SignedOut {...options} refusal={options.signIn.refusal(raw)} />
    ) : (
      await signedIn(session, options)
    );
  const title = `Ask your assistant about ${organisation}`;
  return htmlPage({ title, organisation, visitor, body, width: "wide" });
}

interface SignedOutProps extends Pick<HomeOptions, "organisation" | "resource"> {
  /** Why nobody can sign in from here. */
  readonly refusal: string | undefined;
}

function SignedOut({ organisation, resource, refusal }: SignedOutProps) {
  return (
    <>
      <p class="lead">
        This server lets AI assistants work with the data of {organisation}. Connect yours, sign in, and ask in your own
        words: it sees what you may see, and nothing else.
      </p>
      {refusal === undefined ? (
        <p class="actions">
          <a class="button" href={signInPath("/")}>
            Sign in
          </a>
          <span class="small soft">to see what you could ask, and which assistants act for you</span>
        </p>
      ) : (
        <Notice kind="warn">
          <p>{refusal}</p>
        </Notice>
      )}
      <Address resource={resource} />
      <ClientPanels heading="Connect your assistant" resource={resource} />
    </>
  );
}

async function signedIn(session: BrowserSession, options: HomeOptions) {
  const { contact, resource } = options;
  const { subjectId } = session.identity;
  const [told, connections] = await Promise.all([
    tellOf(session.identity, options),
    options.connections.list(subjectId),
  ]);
  const heading = connections.length === 0 ? "Connect your assistant" : "Connect another assistant";
  return (
    <>
      <Person {...told} contact={contact} />
      <ConnectionList connections={connections} csrfToken={session.csrfToken} />
      <ClientPanels heading={heading} resource={resource} />
    </>
  );
}

/** The page opens also when the person's record is full, or a limit is reached: it then says so. */
async function tellOf(identity: Identity, { introduce }: HomeOptions) {
  try {
    return { introduction: await introduce(identity), problem: undefined };
  } catch (error) {
    if (error instanceof AppError) return { introduction: undefined, problem: error.publicMessage };
    throw error;
  }
}

function Address({ resource }: { readonly resource: string }) {
  return (
    <div class="address">
      <p class="small soft">The address for assistants</p>
      <CopyText text={resource} />
    </div>
  );
}

function Visitor({ session }: { readonly session: BrowserSession }) {
  return (
    <form class="who" method="post" action={SIGN_OUT_PATH}>
      <CsrfField token={session.csrfToken} />
      <span>{session.identity.email}</span>
      <button class="plain" type="submit">
        Sign out
      </button>
    </form>
  );
}
