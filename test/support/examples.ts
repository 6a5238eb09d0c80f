// Serves the policy of an example over EXAMPLE_DB, and replays the calls that the example's README shows.
import { env } from "cloudflare:workers";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { createMcpHandler } from "@modelcontextprotocol/server";
import { expect } from "vitest";
import type { Gatehouse } from "../../src/config/define-gatehouse.ts";
import { buildAuthInfo } from "../../src/server/kit/caller.ts";
import type { Tool } from "../../src/server/kit/define-tool.ts";
import { createServerFactory } from "../../src/server/mcp-server.ts";
import { formatAnswerPart } from "./answer-text.ts";
import { callerAs, gatewayFor } from "./gateway.ts";
import { codeBlocks } from "./markdown.ts";
import { RESOURCE } from "./worker.ts";

/** Runs an example's schema.sql. */
export async function createTables(schema: string): Promise<void> {
  const statements = schema.split(/;\n/).filter((statement) => statement.trim() !== "");
  await env.EXAMPLE_DB.batch(statements.map((statement) => env.EXAMPLE_DB.prepare(statement)));
}

/** The result of a tool call. */
export interface Answer {
  readonly structured: Readonly<Record<string, unknown>>;
  /** The whole result as JSON, for checks of what must not be in it. */
  readonly wire: string;
}

/** Calls a tool as a caller, who is named as in the README. */
export type CallAs = (caller: string, tool: string, args: Record<string, unknown>) => Promise<Answer>;

/** Serves an example's policy, with its custom tools, to an official client. */
export function serveExample(config: Gatehouse, customTools: readonly Tool[] = []): CallAs {
  const dependencies = {
    gateway: gatewayFor(config),
    questions: undefined,
    reporter: {
      newId: () => "defect",
      logDefect: (_id: string, error: unknown) => {
        throw error;
      },
    },
  };
  const createServer = createServerFactory(config.organisation, dependencies);
  const handler = createMcpHandler(() => {
    const server = createServer();
    for (const tool of customTools) tool.register(server, dependencies);
    return server;
  });
  return async (email, tool, args) => {
    const authInfo = buildAuthInfo(callerAs(email, email), ["read"]);
    return callTool(async (request) => handler.fetch(request, { authInfo }), tool, args);
  };
}

/** Calls a tool with an official client of a server in this isolate. */
export async function callTool(
  serve: (request: Request) => Promise<Response>,
  name: string,
  args: Record<string, unknown>,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const client = new Client({ name: "test", version: "1" }, { versionNegotiation: { mode: { pin: "2026-07-28" } } });
  const fetch = async (url: string | URL, init?: RequestInit) => serve(new Request(url, init));
  await client.connect(new StreamableHTTPClientTransport(new URL(RESOURCE), { fetch, requestInit: { headers } }));
  const result = await client.callTool({ name, arguments: args });
  await client.close();
  return { structured: { ...Object(result.structuredContent) }, wire: JSON.stringify(result) };
}

/** A call that a README shows, with the shown parts of its answer. */
export interface ShownCall {
  /** An email address, or what the README writes in its place. */
  readonly caller: string;
  readonly tool: string;
  readonly args: Record<string, unknown>;
  readonly answer: string;
}

/**
 * Lists the calls that a README shows, each with its first line as a title. A call is a block of text: `caller: tool {"argument": …}`, an
 * empty line, and parts of the answer. Throws for a block of text that is no call, so that none goes untested.
 */
export function listShownCalls(readme: string): readonly (readonly [title: string, call: ShownCall])[] {
  return codeBlocks(readme, "text").map((block) => {
    const [, title, caller, tool, args, answer] = /^((.+?): (\S+) (\{.*\}))\n\n([^]+)\n$/.exec(block) ?? [];
    if (title === undefined || caller === undefined || tool === undefined || args === undefined || answer === undefined)
      throw new Error(`not a call and its answer:\n${block}`);
    return [title, { caller, tool, args: JSON.parse(args), answer }];
  });
}

/** Makes a call that a README shows, and compares the parts of the answer that it shows. */
export async function expectShownAnswer(callAs: CallAs, { caller, tool, args, answer }: ShownCall): Promise<void> {
  const { structured } = await callAs(caller, tool, args);
  const parts = [...answer.matchAll(/^(\w+):/gm)].map(([, part = ""]) => part);
  const text = parts.map((part) => formatAnswerPart(part, structured[part])).join("\n");
  // Masking tokens depend on the key of a deployment.
  expect(text.replaceAll(/tok_[a-z0-9]+/g, "tok_…")).toBe(answer);
}
