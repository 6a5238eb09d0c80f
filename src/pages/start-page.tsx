// The page at /: what this server is, how to connect an assistant and, for a signed-in user, questions to ask and the connections that
// act for the user.
import { Hono } from "hono";
import type { Introduction } from "../gateway/introduce.ts";
import type { AuthorizeEnv } from "../oauth/authorize.tsx";
import type { BrowserSession } from "../sign-in/browser-session.ts";
import { CsrfField } from "../sign-in/csrf.tsx";
import { SIGN_OUT_PATH, buildSignInPath } from "../sign-in/sign-in.ts";
import type { SignIn } from "../sign-in/sign-in.ts";
import { AppError } from "../errors.ts";
import type { Identity } from "../lib/identity.ts";
import { htmlPage } from "../ui/layout.tsx";
import { CopyText, Notice } from "../ui/components.tsx";
import { ClientPanels } from "./start-page-clients.tsx";
import { createConnectionRoutes } from "./end-connection.tsx";
import type { ConnectionOptions } from "./end-connection.tsx";
import { NoSources } from "./start-page-no-sources.tsx";
import { ConnectionList, UserPanel } from "./start-page-user.tsx";

/** What the start page needs. */
export interface StartPageOptions extends ConnectionOptions {
  readonly organisation: string;
  /** Whom users ask for access: an email address, a URL or other text. */
  readonly contact: string;
  /** The URL that clients connect to. */
  readonly resource: string;
  /** Whether the policy declares a source. */
  readonly hasSources: boolean;
  readonly signIn: SignIn;
  /** Returns what the user may see. The page shows the messages of its `AppError`s. */
  readonly introduce: (identity: Identity) => Promise<Introduction>;
}

/** Creates the routes of the start page and of the form that ends a connection. */
export function createStartPageRoutes(options: StartPageOptions): Hono<AuthorizeEnv> {
  const app = new Hono<AuthorizeEnv>();
  app.get("/", ({ req }) => showStartPage(req.raw, options));
  app.route("/", createConnectionRoutes(options));
  return app;
}

async function showStartPage(raw: Request, options: StartPageOptions): Promise<Response> {
  const { organisation, hasSources, sessions } = options;
  const session = await sessions.read(raw);
  const visitor = session === undefined ? undefined : <SignedInUser session={session} />;
  if (!hasSources)
    return htmlPage({ title: `${organisation}: a new Gatehouse`, organisation, visitor, body: <NoSources /> });
  const body =
    session === undefined ? (
      <SignedOut {...options} refusal={options.signIn.findRefusal(raw)} />
    ) : (
      await renderSignedIn(session, options)
    );
  const title = `Ask your assistant about ${organisation}`;
  return htmlPage({ title, organisation, visitor, body, width: "wide" });
}

interface SignedOutProps extends Pick<StartPageOptions, "organisation" | "resource"> {
  /** Why this request cannot sign in; undefined when it can. */
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
          <a class="button" href={buildSignInPath("/")}>
            Sign in
          </a>
          <span class="small soft">to see what you could ask, and which assistants act for you</span>
        </p>
      ) : (
        <Notice kind="warn">
          <p>{refusal}</p>
        </Notice>
      )}
      <ServerAddress resource={resource} />
      <ClientPanels heading="Connect your assistant" resource={resource} />
    </>
  );
}

async function renderSignedIn(session: BrowserSession, options: StartPageOptions) {
  const { contact, resource } = options;
  const { subjectId } = session.identity;
  const [introduction, connections] = await Promise.all([
    loadIntroduction(session.identity, options),
    options.connections.list(subjectId),
  ]);
  const heading = connections.length === 0 ? "Connect your assistant" : "Connect another assistant";
  return (
    <>
      <UserPanel {...introduction} contact={contact} />
      <ConnectionList connections={connections} csrfToken={session.csrfToken} />
      <ClientPanels heading={heading} resource={resource} />
    </>
  );
}

/** Loads the introduction. The page must open when the user's ledger is full or a limit is reached, so it shows such an error. */
async function loadIntroduction(identity: Identity, { introduce }: StartPageOptions) {
  try {
    return { introduction: await introduce(identity), problem: undefined };
  } catch (error) {
    if (error instanceof AppError) return { introduction: undefined, problem: error.publicMessage };
    throw error;
  }
}

function ServerAddress({ resource }: { readonly resource: string }) {
  return (
    <div class="address">
      <p class="small soft">The address that assistants connect to</p>
      <CopyText text={resource} />
    </div>
  );
}

/** Renders who is signed in, and the button to sign out. */
export function SignedInUser({ session }: { readonly session: BrowserSession }) {
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
