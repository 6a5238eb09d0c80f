// Wraps the real clients of both SDKs in one interface, so that a test can run with each of them.
import {
  Client as ClientV2,
  StreamableHTTPClientTransport as TransportV2,
  UnauthorizedError as UnauthorizedV2,
} from "@modelcontextprotocol/client";
import type { VersionNegotiationMode } from "@modelcontextprotocol/client";
import { UnauthorizedError as UnauthorizedV1 } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { StreamableHTTPReconnectionOptions } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ElicitRequestSchema, ResourceUpdatedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { TestAuth } from "./sign-in.ts";

/** The result of a tool call. */
interface ToolAnswer {
  readonly isError: boolean;
  readonly structured: unknown;
  readonly text: string;
  /** The whole result as JSON, for checks of what must not be in it. */
  readonly wire: string;
}

/** A connected client. */
export interface TestClient {
  call(name: string, args: Record<string, unknown>): Promise<ToolAnswer>;
  toolNames(): Promise<readonly string[]>;
  resourceUris(): Promise<readonly string[]>;
  /** The text of a resource, or the error's message. */
  read(uri: string): Promise<string>;
  instructions(): string;
  /** Calls back whenever the server says that this resource has changed. */
  watch(uri: string, onUpdate: () => void): Promise<void>;
  close(): Promise<void>;
}

export const CLIENT_KINDS = ["sdk v2, 2026", "sdk v2, 2025", "sdk v1"] as const;
export type ClientKind = (typeof CLIENT_KINDS)[number];

const INFO = { name: "gatehouse-tests", version: "1" };

/** Connects as an account: the client gets the 401, registers, signs in and connects with an access token. */
export async function connectAs(kind: ClientKind, resource: string, account: string): Promise<TestClient> {
  return connectWith(kind, resource, new TestAuth(account));
}

/** A question of the server to the person in front of a client. */
export interface ClientQuestion {
  readonly message: string;
  /** The page that the person is to open; undefined for a form. */
  readonly url: string | undefined;
}

/** What a person does with a question. */
export interface ClientReply {
  readonly action: "accept" | "decline" | "cancel";
  readonly content?: Record<string, string>;
}

/** A person in front of a client. */
interface ClientPerson {
  /** What their client can show: forms and pages, or pages only. */
  readonly shows: "forms" | "pages";
  readonly answer: (question: ClientQuestion) => Promise<ClientReply>;
}

/** How a client differs from the SDK's own way. */
interface ClientOptions {
  /** Answers questions. Without a person, the client can show none. */
  readonly person?: ClientPerson;
  /** Sends its requests. */
  readonly fetch?: typeof fetch;
  /** How it opens its streams again when the server restarts. */
  readonly reconnection?: StreamableHTTPReconnectionOptions;
  /** How long it waits for an answer, in milliseconds. */
  readonly timeout?: number;
}

/** Connects with the given sign-in, such as one in a browser. */
export async function connectWith(
  kind: ClientKind,
  resource: string,
  auth: TestAuth,
  clientOptions: ClientOptions = {},
): Promise<TestClient> {
  switch (kind) {
    case "sdk v1":
      return connectV1(resource, auth, clientOptions);
    case "sdk v2, 2025":
      return connectV2(resource, auth, "legacy", clientOptions);
    case "sdk v2, 2026":
      return connectV2(resource, auth, { pin: "2026-07-28" }, clientOptions);
  }
}

/** The options of a transport of either SDK. */
const transportOptions = (authProvider: TestAuth, { reconnection, fetch: send }: ClientOptions) => ({
  authProvider,
  ...(send === undefined ? {} : { fetch: send }),
  ...(reconnection === undefined ? {} : { reconnectionOptions: reconnection }),
});

/** The options of a request of either SDK. */
const requestOptions = ({ timeout }: ClientOptions) => (timeout === undefined ? {} : { timeout });

const SHOWN = { forms: { form: {}, url: {} }, pages: { url: {} } } as const;
/** The capabilities of a client of either SDK. */
const capabilitiesOf = ({ person }: ClientOptions) =>
  person === undefined ? {} : { elicitation: SHOWN[person.shows] };

/** Has the person answer an elicitation, as either SDK hands it over. */
async function answerQuestion(
  { answer }: ClientPerson,
  params: { readonly message: string; readonly url?: unknown },
): Promise<ClientReply> {
  return answer({ message: params.message, url: typeof params.url === "string" ? params.url : undefined });
}

async function connectV2(
  resource: string,
  auth: TestAuth,
  mode: VersionNegotiationMode,
  clientOptions: ClientOptions,
): Promise<TestClient> {
  const { person } = clientOptions;
  const connect = async () => {
    const client = new ClientV2(INFO, { capabilities: capabilitiesOf(clientOptions), versionNegotiation: { mode } });
    if (person !== undefined)
      client.setRequestHandler("elicitation/create", async ({ params }) => ({
        ...(await answerQuestion(person, params)),
      }));
    const transport = new TransportV2(new URL(resource), transportOptions(auth, clientOptions));
    await client.connect(transport).catch(async (error: unknown) => {
      await transport.close();
      throw error;
    });
    return client;
  };
  const client = await connect().catch(async (error: unknown) => {
    if (!(error instanceof UnauthorizedV2)) throw error;
    const callback = auth.callback;
    if (callback === undefined) throw error;
    await new TransportV2(new URL(resource), { authProvider: auth }).finishAuth(callback.searchParams);
    return connect();
  });
  const options = requestOptions(clientOptions);
  return wrapClient(client, {
    call: async (name, args) => client.callTool({ name, arguments: args }, options),
    read: async (uri) => client.readResource({ uri }, options),
    async watch(uri, onUpdate) {
      client.setNotificationHandler("notifications/resources/updated", onUpdate);
      if (mode === "legacy") await client.subscribeResource({ uri });
      else await client.listen({ resourceSubscriptions: [uri] });
    },
  });
}

async function connectV1(resource: string, auth: TestAuth, clientOptions: ClientOptions): Promise<TestClient> {
  const { person } = clientOptions;
  const connect = async () => {
    const client = new ClientV1(INFO, { capabilities: capabilitiesOf(clientOptions) });
    if (person !== undefined)
      client.setRequestHandler(ElicitRequestSchema, async ({ params }) => ({
        ...(await answerQuestion(person, params)),
      }));
    await client.connect(new TransportV1(new URL(resource), transportOptions(auth, clientOptions)));
    return client;
  };
  const client = await connect().catch(async (error: unknown) => {
    if (!(error instanceof UnauthorizedV1)) throw error;
    await new TransportV1(new URL(resource), { authProvider: auth }).finishAuth(auth.code);
    return connect();
  });
  const options = requestOptions(clientOptions);
  return wrapClient(client, {
    call: async (name, args) => client.callTool({ name, arguments: args }, undefined, options),
    read: async (uri) => client.readResource({ uri }, options),
    async watch(uri, onUpdate) {
      client.setNotificationHandler(ResourceUpdatedNotificationSchema, onUpdate);
      await client.subscribeResource({ uri });
    },
  });
}

/** The requests whose options differ between the SDKs. */
interface OwnRequests {
  readonly call: (name: string, args: Record<string, unknown>) => Promise<Record<string, unknown>>;
  readonly read: (uri: string) => Promise<{ readonly contents: readonly object[] }>;
  readonly watch: TestClient["watch"];
}

function wrapClient(client: ClientV1 | ClientV2, { call, read, watch }: OwnRequests): TestClient {
  return {
    call: async (name, args) => parseAnswer(await call(name, args)),
    toolNames: async () => (await client.listTools()).tools.map((tool) => tool.name),
    resourceUris: async () => (await client.listResources()).resources.map((resourceEntry) => resourceEntry.uri),
    read: async (uri) => textOf(read(uri)),
    watch,
    instructions: () => client.getInstructions() ?? "",
    close: () => client.close(),
  };
}

function parseAnswer(result: Record<string, unknown>): ToolAnswer {
  const content = Array.isArray(result["content"]) ? result["content"] : [];
  const text = content
    .map((block: unknown) => (typeof block === "object" && block !== null && "text" in block ? String(block.text) : ""))
    .join("\n");
  return {
    isError: result["isError"] === true,
    structured: result["structuredContent"],
    text,
    wire: JSON.stringify(result),
  };
}

async function textOf(reading: Promise<{ readonly contents: readonly object[] }>): Promise<string> {
  try {
    const { contents } = await reading;
    return contents.map((content) => ("text" in content ? String(content.text) : "")).join("\n");
  } catch (error) {
    return `error: ${error instanceof Error ? error.message : String(error)}`;
  }
}
