// The page that lists the changes that wait for a signed-in user, and the user's own recent ones.
import { Hono } from "hono";
import type { ChangeReview, ChangeSummary } from "../changes/change-view.ts";
import { escapeInvisible } from "../lib/visible-text.ts";
import type { AuthorizeEnv } from "../oauth/authorize.tsx";
import type { BrowserSessions } from "../sign-in/browser-session.ts";
import { redirect } from "../sign-in/problem-page.tsx";
import { buildSignInPath } from "../sign-in/sign-in.ts";
import { Badge, Timestamp } from "../ui/components.tsx";
import { htmlPage } from "../ui/layout.tsx";
import { changeProblemPage } from "./change-problem.tsx";
import { STATES, describeChange } from "./change-words.ts";
import { CHANGES_PATH } from "./start-page-user.tsx";
import { SignedInUser } from "./start-page.tsx";

/** What the pages of changes need. */
export interface ChangePageOptions {
  readonly sessions: BrowserSessions;
  readonly organisation: string;
  readonly changeReview: ChangeReview;
}

/** Creates the route of the list. */
export function createChangeListRoutes({
  sessions,
  organisation,
  changeReview,
}: ChangePageOptions): Hono<AuthorizeEnv> {
  return new Hono<AuthorizeEnv>().get(CHANGES_PATH, async ({ req }) => {
    const session = await sessions.read(req.raw);
    if (session === undefined) return redirect(buildSignInPath(CHANGES_PATH));
    try {
      const { waiting, own } = await changeReview.list(session.identity);
      return await htmlPage({
        title: "Changes",
        organisation,
        visitor: <SignedInUser session={session} />,
        body: (
          <>
            <p class="lead">
              Assistants ask here for changes of data. A change applies as a whole or not at all, and only after the
              decision that the rules ask for.
            </p>
            <ChangeList
              id="waiting"
              heading="Changes that wait for you"
              changes={waiting}
              empty="No change waits for your decision."
            />
            <ChangeList
              id="own"
              heading="Your recent changes"
              changes={own}
              empty="You have not asked for a change yet. When an assistant asks for one on your behalf, you find it here with its state."
            />
            <p>
              <a href="/">Start page</a>
            </p>
          </>
        ),
      });
    } catch (error) {
      return changeProblemPage(error, <a href="/">Go to the start page</a>);
    }
  });
}

interface ChangeListProps {
  readonly id: string;
  readonly heading: string;
  readonly changes: readonly ChangeSummary[];
  /** What to say when there are no changes. */
  readonly empty: string;
}

function ChangeList({ id, heading, changes, empty }: ChangeListProps) {
  return (
    <section aria-labelledby={id}>
      <h2 id={id}>{heading}</h2>
      {changes.length === 0 ? (
        <p class="soft">{empty}</p>
      ) : (
        <ul class="rows">
          {changes.map((change) => (
            <ChangeItem {...change} />
          ))}
        </ul>
      )}
    </section>
  );
}

function ChangeItem(change: ChangeSummary) {
  const { id, state, requester, proposedMs, expiresMs } = change;
  const { label, kind } = STATES[state];
  return (
    <li>
      <div>
        <a href={`${CHANGES_PATH}/${id}`}>{describeChange(change)}</a>
        <p class="small soft">
          Asked for by <bdi>{escapeInvisible(requester)}</bdi>, <Timestamp ms={proposedMs} />
          {state === "proposed" && (
            <>
              ; expires <Timestamp ms={expiresMs} />
            </>
          )}
        </p>
      </div>
      <Badge kind={kind}>{label}</Badge>
    </li>
  );
}
