// Questions to the person who asked for a change, over real HTTP: real clients of both SDKs ask in a form where the rule names them and by a
// link to the page elsewhere, and `kill -9` of the server during a question never applies a change twice.
import { describe, expect, it } from "vitest";
import { useChangeServer } from "../support/node/change-server.ts";
import { CLIENT_KINDS, connectWith } from "../support/node/clients.ts";
import type { ClientKind, ClientQuestion, ClientReply, TestClient } from "../support/node/clients.ts";
import { TestAuth, signInToPages } from "../support/node/sign-in.ts";

const ACCOUNT = "support@harbor.example";
const FORM_REPLY: ClientReply = { action: "accept", content: { decision: "approve" } };
/** Clients open their streams again for as long as a restart takes. */
const RECONNECTION = {
  initialReconnectionDelay: 200,
  maxReconnectionDelay: 500,
  reconnectionDelayGrowFactor: 1.2,
  maxRetries: 200,
};
/** Machines may be busy. */
const PATIENT = { timeout: 10_000 };

const server = useChangeServer(ACCOUNT);

/** A client whose person answers with `answer`, and every question that it asked. */
interface Asking {
  readonly client: TestClient;
  readonly questions: ClientQuestion[];
}

interface AskingOptions {
  readonly auth?: TestAuth;
  readonly shows?: "forms" | "pages";
  readonly fetch?: typeof fetch;
}

async function connectAsking(
  kind: ClientKind,
  answer: (question: ClientQuestion) => Promise<ClientReply>,
  { auth = server().named, shows = "forms", ...options }: AskingOptions = {},
): Promise<Asking> {
  const questions: ClientQuestion[] = [];
  const client = await connectWith(kind, server().resource, auth, {
    reconnection: RECONNECTION,
    ...options,
    person: {
      shows,
      async answer(question) {
        questions.push(question);
        return answer(question);
      },
    },
  });
  return { client, questions };
}

/** Proposes to raise the priority of a ticket. The call ends once the person was asked. */
async function propose(client: TestClient, ticket: number): Promise<{ change: string; state: string; text: string }> {
  const { structured, text } = await client.call("change", {
    dataset: "shop.tickets",
    action: "update",
    where: { id: ticket },
    values: { priority: "high" },
    reason: "The customer waits for an answer.",
  });
  return { change: "", state: "", ...Object(structured), text };
}

/** Signs in as the person in a browser, opens the page of a question, and approves there. */
async function approveOnPage(url: string | undefined): Promise<void> {
  if (url === undefined) throw new Error("the question has no page");
  const browser = await signInToPages(server().origin, ACCOUNT);
  const { response } = await browser.press(await browser.open(url), "decision", "approve");
  expect(response.status).toBe(302);
}

/** Checks that a change was applied, that its state says so, and that it was recorded once. */
async function expectAppliedOnce(change: string, ticket: number): Promise<void> {
  await expect.poll(() => server().listChanges(), PATIENT).toContainEqual({ id: change, state: "applied" });
  expect(server().priorityOf(ticket)).toBe("high");
  await expect.poll(() => server().listRecords(change, "apply change"), PATIENT).toEqual(["answered"]);
}

describe.each(CLIENT_KINDS)("%s", (kind) => {
  it("applies a change that its person approves in a form, where the rule names the client", async () => {
    const ticket = server().takeTicket();
    const { client, questions } = await connectAsking(kind, async () => FORM_REPLY);
    const answer = await propose(client, ticket);
    await client.close();
    expect(answer.state, answer.text).toBe("applied");
    expect(questions).toEqual([{ message: expect.stringContaining(`from "normal" to "high"`), url: undefined }]);
    await expectAppliedOnce(answer.change, ticket);
    expect(server().listRecords(answer.change, "approve change")).toEqual(["answered"]);
  });

  it("applies a change that its person approves on the page before the client says that it was opened", async () => {
    const ticket = server().takeTicket();
    const approve = async ({ url }: ClientQuestion): Promise<ClientReply> => {
      expect(server().priorityOf(ticket)).toBe("normal");
      await approveOnPage(url);
      return { action: "accept" };
    };
    const { client, questions } = await connectAsking(kind, approve, { shows: "pages" });
    const answer = await propose(client, ticket);
    await client.close();
    expect(answer.state, answer.text).toBe("applied");
    expect(questions).toEqual([{ message: expect.any(String), url: `${server().origin}/changes/${answer.change}` }]);
    await expectAppliedOnce(answer.change, ticket);
  });

  it("waits for the approval on the page that the client has opened", async () => {
    const ticket = server().takeTicket();
    const opened = Promise.withResolvers<string | undefined>();
    const open = async ({ url }: ClientQuestion): Promise<ClientReply> => {
      opened.resolve(url);
      return { action: "accept" };
    };
    const { client } = await connectAsking(kind, open, { shows: "pages" });
    const call = propose(client, ticket);
    await approveOnPage(await opened.promise);
    const answer = await call;
    await client.close();
    expect(answer.state, answer.text).toBe("applied");
    await expectAppliedOnce(answer.change, ticket);
  });

  it("asks only for the page when the rule names another client, and takes no decision in its place", async () => {
    const ticket = server().takeTicket();
    const decide = async (): Promise<ClientReply> => ({ ...FORM_REPLY, action: "cancel" });
    const { client, questions } = await connectAsking(kind, decide, { auth: new TestAuth(ACCOUNT) });
    const answer = await propose(client, ticket);
    await client.close();
    expect(questions).toEqual([{ message: expect.any(String), url: `${server().origin}/changes/${answer.change}` }]);
    expect(answer.state, answer.text).toBe("proposed");
    expect(server().priorityOf(ticket)).toBe("normal");
    expect(server().listRecords(answer.change, "apply change")).toEqual([]);
  });
});

/** A call whose person is being asked. */
interface OpenQuestion {
  readonly client: TestClient;
  readonly questions: readonly ClientQuestion[];
  readonly ticket: number;
  readonly change: string;
  /** Resolves with the answer of the call, or with what became of it. */
  readonly ended: Promise<{ readonly change?: string; readonly state?: string; readonly text: string }>;
  /** Answers the question. */
  readonly reply: (reply: ClientReply) => void;
}

/** Proposes a change, and returns when its person is being asked. `send` sends the requests of the client. */
async function openQuestion(kind: ClientKind, send: typeof fetch = fetch): Promise<OpenQuestion> {
  const ticket = server().takeTicket();
  const known = new Set(
    server()
      .listChanges()
      .map(({ id }) => id),
  );
  const [asked, decided] = [Promise.withResolvers<void>(), Promise.withResolvers<ClientReply>()];
  const answer = async (): Promise<ClientReply> => {
    asked.resolve();
    return decided.promise;
  };
  const { client, questions } = await connectAsking(kind, answer, { fetch: send });
  const ended = propose(client, ticket).catch((error: unknown) => ({ text: String(error) }));
  await Promise.race([asked.promise, ended]);
  const changes = server().listChanges();
  const added = changes.filter(({ id }) => !known.has(id));
  expect(added).toEqual([{ id: expect.any(String), state: "proposed" }]);
  return { client, questions, ticket, change: added[0]?.id ?? "", ended, reply: decided.resolve };
}

/** Waits until a change is not under way any more, as its requester's assistant sees it, and returns its state. */
async function fetchSettled(change: string): Promise<string> {
  const client = await connectWith("sdk v2, 2026", server().resource, server().named);
  const fetchState = async (): Promise<string> => {
    const { structured, text } = await client.call("fetch", { id: change });
    const metadata: unknown = Reflect.get(Object(structured), "metadata");
    return String(Reflect.get(Object(metadata), "state") ?? text);
  };
  await expect.poll(fetchState, PATIENT).toMatch(/^(?:proposed|applied)$/);
  const state = await fetchState();
  await client.close();
  return state;
}

/** Checks that these changes are the only new ones, that each was asked about once, and that each was applied. */
async function expectOnce(open: readonly OpenQuestion[], known: number): Promise<void> {
  for (const { change, ticket, questions } of open) {
    await expectAppliedOnce(change, ticket);
    expect(questions).toHaveLength(1);
  }
  const ids = server()
    .listChanges()
    .map(({ id }) => id);
  expect(ids.slice(known)).toEqual(open.map(({ change }) => change));
}

/** A client's `fetch` that has the person's first approval sent by `send`, and tells when that has ended. */
function interceptReply(send: (request: () => Promise<Response>) => Promise<Response>) {
  const sent = Promise.withResolvers<void>();
  let isFirst = true;
  const intercept: typeof fetch = async (url, init) => {
    const request = async (): Promise<Response> => fetch(url, init);
    const isReply = typeof init?.body === "string" && init.body.includes('"decision":"approve"');
    if (!isReply || !isFirst) return request();
    isFirst = false;
    return send(request).finally(sent.resolve);
  };
  return { intercept, sent: sent.promise };
}

type Seen = Pick<OpenQuestion, "change" | "ticket">;

describe("kill -9 of the server", { timeout: 60_000 }, () => {
  it("during a form asks once, and the answer afterwards applies the change once", async () => {
    const known = server().listChanges().length;
    const open: OpenQuestion[] = [];
    for (const kind of CLIENT_KINDS) open.push(await openQuestion(kind));
    await server().kill();
    await server().start();
    for (const { reply } of open) reply(FORM_REPLY);
    for (const { client, change, ended } of open) {
      expect(await ended).toMatchObject({ change, state: "applied" });
      await client.close();
    }
    await expectOnce(open, known);
  });

  it("while the answer is being sent loses at most the answer, and the page takes the decision", async () => {
    const known = server().listChanges().length;
    const open: OpenQuestion[] = [];
    const allSent: Promise<void>[] = [];
    for (const kind of CLIENT_KINDS) {
      const { intercept, sent } = interceptReply(async (request) => {
        const [response] = await Promise.all([request(), server().kill()]);
        return response;
      });
      open.push(await openQuestion(kind, intercept));
      allSent.push(sent);
    }
    for (const { reply } of open) reply(FORM_REPLY);
    await Promise.all(allSent);
    await server().start();
    for (const { client, change, ticket } of open) {
      const state = await fetchSettled(change);
      expect(server().priorityOf(ticket)).toBe(state === "applied" ? "high" : "normal");
      if (state === "proposed") await approveOnPage(`${server().origin}/changes/${change}`);
      await client.close();
    }
    await expectOnce(open, known);
  });

  /** What can be seen from outside of an apply, in its order. */
  const hasRowChanged = ({ ticket }: Seen): boolean => server().priorityOf(ticket) === "high";
  const isApplied = ({ change }: Seen): boolean =>
    server()
      .listChanges()
      .some(({ id, state }) => id === change && state === "applied");
  const cases = [
    { moment: "the row has changed", isReached: hasRowChanged, kind: "sdk v2, 2026" },
    { moment: "the row has changed", isReached: hasRowChanged, kind: "sdk v2, 2025" },
    { moment: "the change is applied", isReached: isApplied, kind: "sdk v2, 2025" },
  ] as const;
  it.each(cases)("as soon as $moment applies it once ($kind)", async ({ isReached, kind }) => {
    const known = server().listChanges().length;
    const { intercept, sent } = interceptReply(async (request) => {
      const response = request();
      // The server dies before it has answered, or afterwards.
      const settled = Promise.allSettled([response]);
      await expect.poll(() => isReached(open), { ...PATIENT, interval: 1 }).toBe(true);
      await server().kill();
      await settled;
      return response;
    });
    const open = await openQuestion(kind, intercept);
    open.reply(FORM_REPLY);
    await sent;
    await server().start();
    expect(await fetchSettled(open.change)).toBe("applied");
    // Without the connection, a client of 2026 never learns how its call ended.
    const answer = await open.ended;
    if (kind === "sdk v2, 2025") expect(answer).toMatchObject({ change: open.change });
    await open.client.close();
    await expectOnce([open], known);
  });
});
