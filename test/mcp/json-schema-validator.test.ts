// The Worker has no JSON Schema validator, so the SDK must fail where it would use one, and must not accept what it cannot check.
import { Client } from "@modelcontextprotocol/client";
import { InMemoryTransport, McpServer, fromJsonSchema } from "@modelcontextprotocol/server";
import { describe, expect, it } from "vitest";

const NO_VALIDATOR = "The Worker has no JSON Schema validator";

/** Connects a server to a client that accepts every question with these values. */
async function connectServer(content: Record<string, string | number>): Promise<McpServer> {
  const server = new McpServer({ name: "test", version: "1" });
  const client = new Client({ name: "test", version: "1" }, { capabilities: { elicitation: { form: {} } } });
  client.setRequestHandler("elicitation/create", () => ({ action: "accept", content }));
  const [serverSide, clientSide] = InMemoryTransport.createLinkedPair();
  await server.connect(serverSide);
  await client.connect(clientSide);
  return server;
}

describe("the SDK's JSON Schema validator in the Worker", () => {
  it.each([{ name: "Ada" }, { name: 7 }])(
    "fails elicitInput on the answer %j instead of accepting it",
    async (content) => {
      const server = await connectServer(content);
      const answer = server.server.elicitInput({
        mode: "form",
        message: "Who are you?",
        requestedSchema: { type: "object", properties: { name: { type: "string" } }, required: ["name"] },
      });
      await expect(answer).rejects.toThrow(NO_VALIDATOR);
      await server.close();
    },
  );

  it("fails when a JSON Schema should check the arguments of a tool", () => {
    expect(() => fromJsonSchema({ type: "object" })).toThrow(NO_VALIDATOR);
  });
});
