// An official client, in one protocol era, whose user answers the questions of a deployment. A session of the 2025 era runs without HTTP,
// because its streams cannot leave the objects that a test hosts; test/e2e/change-questions.test.ts has that part.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import type { ClientCapabilities, ElicitRequest, ElicitResult } from "@modelcontextprotocol/client";
import { InMemoryTransport } from "@modelcontextprotocol/server";
import { createUserQuestions } from "../../src/server/user-questions.ts";
import { createReplayGuard } from "../../src/server/gateway-replay-guard.ts";
import { buildAuthInfo } from "../../src/server/kit/caller.ts";
import { createServerFactory } from "../../src/server/mcp-server.ts";
import { withCall } from "../../src/mcp/wire/call-id.ts";
import type { Gatehouse } from "../../src/config/define-gatehouse.ts";
import type { Caller } from "../../src/lib/identity.ts";
import { newId } from "../../src/lib/ids.ts";
import type { ChangeDeployment } from "./change-deployment.ts";
import type { Era } from "./change-scenario.ts";
import { gatewayFor } from "./gateway.ts";
import { ledgerOf } from "./members.ts";
import { RESOURCE } from "./worker.ts";

/** Which questions a client can show: forms and pages, pages only, or none. */
export const SURFACES = ["form", "url", "none"] as const;
export type Surface = (typeof SURFACES)[number];

const CAPABILITIES: Readonly<Record<Surface, ClientCapabilities>> = {
  form: { elicitation: { form: {}, url: {} } },
  url: { elicitation: { url: {} } },
  none: {},
};

/** The secret from which the deployments of the tests sign their questions. */
export const SECRET = "a secret of the deployments of tests";

export type Question = ElicitRequest["params"];

/** A deployment, and a client that has signed in there. */
export interface AskedDeployment {
  readonly deployment: ChangeDeployment;
  readonly config: Gatehouse;
  readonly token: string;
  /** Whom the access token stands for. */
  readonly caller: Caller;
}

/** A client with a user in front of it. */
export interface AskingClient {
  /** Every question that was asked. */
  readonly questions: readonly Question[];
  /** Calls a tool, and returns its structured content, or `{ text }` of an answer without any. */
  call(name: string, args: Record<string, unknown>): Promise<Record<string, unknown>>;
  close(): Promise<void>;
}

/**
 * Connects a client whose user answers each question with `answer`. Two sessions with the same `call` are one session before and after a
 * restart, as far as their calls are the same.
 */
export async function connectAsking(
  asked: AskedDeployment,
  { era, surface, call }: { readonly era: Era; readonly surface: Surface; readonly call?: string },
  answer: (question: Question) => Promise<ElicitResult>,
): Promise<AskingClient> {
  const mode = era === "2026 request" ? ({ pin: "2026-07-28" } as const) : "legacy";
  const client = new Client(
    { name: "test", version: "1" },
    { capabilities: CAPABILITIES[surface], versionNegotiation: { mode } },
  );
  const questions: Question[] = [];
  if (surface !== "none")
    client.setRequestHandler("elicitation/create", async ({ params }) => {
      questions.push(params);
      return answer(params);
    });
  await client.connect(era === "2026 request" ? openHttp(asked) : await openSession(asked, call));
  return {
    questions,
    async call(name, args) {
      const { structuredContent, content } = await client.callTool({ name, arguments: args });
      return structuredContent === undefined ? { text: JSON.stringify(content) } : { ...structuredContent };
    },
    close: async () => client.close(),
  };
}

function openHttp({ deployment, token }: AskedDeployment): StreamableHTTPClientTransport {
  return new StreamableHTTPClientTransport(new URL(RESOURCE), {
    requestInit: { headers: { authorization: `Bearer ${token}` } },
    fetch: async (url, init) => deployment.send(new Request(url, init)),
  });
}

async function openSession(
  { deployment, config, caller }: AskedDeployment,
  call: string | undefined,
): Promise<InMemoryTransport> {
  const gateway = gatewayFor(config, undefined, { changes: deployment.changes });
  const fail = (error: unknown): never => {
    throw error;
  };
  const questions = createUserQuestions({
    secret: SECRET,
    openLedger: ledgerOf,
    replayGuard: createReplayGuard(gateway, fail),
    newId,
  });
  const reporter = { newId, logDefect: (_id: string, error: unknown) => fail(error) };
  const server = createServerFactory(config.organisation, { gateway, reporter, questions })();
  const [serverSide, clientSide] = InMemoryTransport.createLinkedPair();
  const signedIn = buildAuthInfo(caller, ["read"]);
  const authInfo = call === undefined ? signedIn : withCall(signedIn, call);
  const send = clientSide.send.bind(clientSide);
  clientSide.send = async (message, options) => send(message, { ...options, authInfo });
  await server.connect(serverSide);
  return clientSide;
}
