// What the start page has for a person who is signed in: what they may see, what to ask, and the connections that act for them.
import type { Introduction } from "../access/introduction.ts";
import { CsrfField } from "../auth/csrf.tsx";
import { displayName } from "../lib/visible-text.ts";
import { Contact, Moment, Notice } from "../ui/parts.tsx";
import type { Connection } from "../auth/connections.ts";
import { CONNECTION_FIELD, END_CONNECTION_PATH } from "./home-connections.tsx";

export interface PersonProps {
  /** Undefined when it could not be had now; `problem` then says why. */
  readonly introduction: Introduction | undefined;
  readonly problem: string | undefined;
  readonly contact: string;
}

/** What they may see, and three questions; or why there is nothing, and whom to ask. */
export function Person({ introduction, problem, contact }: PersonProps) {
  if (introduction === undefined) {
    return (
      <Notice kind="warn">
        <p>{problem}</p>
      </Notice>
    );
  }
  const { roles, sources, questions } = introduction;
  if (questions.length === 0) return <NothingOpen hasRole={roles.length > 0} contact={contact} />;
  return (
    <section aria-labelledby="ask">
      <h2 id="ask">What you could ask</h2>
      <p class="soft">
        Give one of these to your assistant. They can be answered from {listOf(sources.map(({ title }) => title))},
        which you may see{roles.length > 0 ? ` as ${listOf(roles.map(({ name }) => name))}` : ""}.
      </p>
      <ol class="asks">
        {questions.map((question) => (
          <li>{question}</li>
        ))}
      </ol>
    </section>
  );
}

function NothingOpen({ hasRole, contact }: { readonly hasRole: boolean; readonly contact: string }) {
  return (
    <Notice kind="warn">
      <p>
        <strong>
          {hasRole ? "Your role here opens no data yet." : "You are signed in, but you have no role here yet."}
        </strong>
      </p>
      <p>
        So an assistant finds nothing in your name. {hasRole ? "To have that changed" : "To get one"}, ask:{" "}
        <Contact contact={contact} />. You need not connect anything again afterwards.
      </p>
    </Notice>
  );
}

export interface ConnectionListProps {
  readonly connections: readonly Connection[];
  readonly csrfToken: string;
}

/** The clients that act for the person, each with a button that ends it. */
export function ConnectionList({ connections, csrfToken }: ConnectionListProps) {
  return (
    <section aria-labelledby="connections">
      <h2 id="connections">Connections that act for you</h2>
      {connections.length === 0 ? (
        <p class="soft">There is none. Once you have connected an assistant, you find it here and can end it.</p>
      ) : (
        <ul class="rows ends">
          {connections.map((connection) => (
            <ConnectionRow connection={connection} csrfToken={csrfToken} />
          ))}
        </ul>
      )}
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
          {clientDomain === null ? "A name that the program chose itself" : `Published by ${clientDomain}`}, connected{" "}
          <Moment ms={createdMs} />, last used <Moment ms={usedMs} />
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

function listOf(names: readonly string[]): string {
  return new Intl.ListFormat("en-GB", { type: "conjunction" }).format(names);
}
