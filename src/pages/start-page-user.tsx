// The parts of the start page for a signed-in user: what they may see, questions to ask, and their connections.
import type { Introduction } from "../gateway/introduce.ts";
import { CsrfField } from "../sign-in/csrf.tsx";
import { displayName } from "../lib/visible-text.ts";
import { Contact, Timestamp, Notice } from "../ui/components.tsx";
import type { Connection } from "../oauth/connections.ts";
import { CONNECTION_FIELD, END_CONNECTION_PATH } from "./end-connection.tsx";

/** Where users see what was asked in their name. */
export const OWN_RECORDS_PATH = "/records";
/** Where users see and decide changes of data. */
export const CHANGES_PATH = "/changes";

interface UserPanelProps {
  /** Undefined when it is not available now; `problem` then says why. */
  readonly introduction: Introduction | undefined;
  readonly problem: string | undefined;
  readonly contact: string;
}

/** Renders what the user may see and three questions, or why the user sees nothing and whom to contact. */
export function UserPanel({ introduction, problem, contact }: UserPanelProps) {
  if (introduction === undefined) {
    return (
      <Notice kind="warn">
        <p>{problem}</p>
      </Notice>
    );
  }
  const { roles, sources, questions, allHidden } = introduction;
  if (allHidden !== null) return <NothingOpen allHidden={allHidden} />;
  if (questions.length === 0) return <NoVisibleData hasRole={roles.length > 0} contact={contact} />;
  return (
    <section aria-labelledby="ask">
      <h2 id="ask">What you could ask</h2>
      <p class="soft">
        Ask your assistant one of these questions. The answers are in {formatList(sources.map(({ title }) => title))},
        which you may see{roles.length > 0 ? ` as ${formatList(roles.map(({ name }) => name))}` : ""}.
      </p>
      <ol class="asks">
        {questions.map((question) => (
          <li>{question}</li>
        ))}
      </ol>
    </section>
  );
}

function NothingOpen({ allHidden }: { readonly allHidden: string }) {
  return (
    <Notice kind="warn">
      <p>
        <strong>Nothing is open yet.</strong>
      </p>
      <p>{allHidden}</p>
    </Notice>
  );
}

function NoVisibleData({ hasRole, contact }: { readonly hasRole: boolean; readonly contact: string }) {
  return (
    <Notice kind="warn">
      <p>
        <strong>
          {hasRole
            ? "Your role here gives access to no data yet."
            : "You are signed in, but you have no role here yet."}
        </strong>
      </p>
      <p>
        So an assistant that you connect finds no data. To get {hasRole ? "access" : "a role"}, contact:{" "}
        <Contact contact={contact} />. You do not have to connect the assistant again afterwards.
      </p>
    </Notice>
  );
}

interface ConnectionListProps {
  readonly connections: readonly Connection[];
  readonly csrfToken: string;
}

/** Renders the user's connections, each with a button that ends it. */
export function ConnectionList({ connections, csrfToken }: ConnectionListProps) {
  return (
    <section aria-labelledby="connections">
      <h2 id="connections">Connections that act for you</h2>
      {connections.length === 0 ? (
        <p class="soft">You have no connections yet. When you connect an assistant, you can end its connection here.</p>
      ) : (
        <ul class="rows ends">
          {connections.map((connection) => (
            <ConnectionRow connection={connection} csrfToken={csrfToken} />
          ))}
        </ul>
      )}
      <p class="actions">
        <a href={OWN_RECORDS_PATH}>What was asked in your name</a>
        <a href={CHANGES_PATH}>Changes that wait for you</a>
      </p>
    </section>
  );
}

function ConnectionRow({ connection, csrfToken }: { readonly connection: Connection; readonly csrfToken: string }) {
  const { id, clientDomain, createdMs, usedMs } = connection;
  const clientName = displayName(connection.clientName);
  return (
    <li>
      <div>
        <strong>
          <bdi>{clientName}</bdi>
        </strong>
        <p class="small soft">
          {clientDomain === null ? "Name chosen by the program" : `Published by ${clientDomain}`}, connected{" "}
          <Timestamp ms={createdMs} />, last used <Timestamp ms={usedMs} />
        </p>
      </div>
      <form method="post" action={END_CONNECTION_PATH}>
        <CsrfField token={csrfToken} />
        <input type="hidden" name={CONNECTION_FIELD} value={id} />
        <button class="small" type="submit">
          End{" "}
          <span class="said">
            the connection of <bdi>{clientName}</bdi>
          </span>
        </button>
      </form>
    </li>
  );
}

function formatList(names: readonly string[]): string {
  return new Intl.ListFormat("en-GB", { type: "conjunction" }).format(names);
}
