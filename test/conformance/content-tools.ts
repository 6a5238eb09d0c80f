// Fixture tools that return each kind of content, report progress, log, fail, or publish a change.
import { fromJsonSchema } from "@modelcontextprotocol/server";
import type { CallToolResult, McpServer, ServerContext } from "@modelcontextprotocol/server";
import * as z from "zod";
import type { Hub } from "../../src/mcp/subscriptions/hub.ts";
import { PIXEL_PNG, SILENCE_WAV } from "./media.ts";
import { SUBJECT } from "./fixtures.ts";

const NOTHING = z.object({});

const SCHEMA_2020_12 = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  $defs: {
    address: {
      $anchor: "addressDef",
      type: "object",
      properties: { street: { type: "string" }, city: { type: "string" } },
    },
  },
  properties: {
    name: { type: "string" },
    address: { $ref: "#/$defs/address" },
    contactMethod: { type: "string", enum: ["phone", "email"] },
    phone: { type: "string" },
    email: { type: "string" },
  },
  allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
  if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
  // oxlint-disable-next-line no-thenable -- a JSON Schema keyword
  then: { required: ["phone"] },
  else: { required: ["email"] },
  additionalProperties: false,
} as const;

const HEADER_SCHEMA = {
  type: "object",
  properties: { region: { type: "string", "x-mcp-header": "Region" } },
  required: ["region"],
} as const;

/** Registers the tools that need no input from the client. */
export function registerContentTools(server: McpServer, hub: () => Hub): void {
  const add = (name: string, run: (context: ServerContext) => CallToolResult | Promise<CallToolResult>): void => {
    server.registerTool(name, { description: `Fixture ${name}`, inputSchema: NOTHING }, async (_input, context) =>
      run(context),
    );
  };
  add("test_simple_text", () => text("A plain text answer."));
  add("test_image_content", () => ({ content: [{ type: "image", data: PIXEL_PNG, mimeType: "image/png" }] }));
  add("test_audio_content", () => ({ content: [{ type: "audio", data: SILENCE_WAV, mimeType: "audio/wav" }] }));
  add("test_embedded_resource", () => ({
    content: [embedded("test://embedded-resource", "text/plain", "Text inside a resource.")],
  }));
  add("test_multiple_content_types", () => ({
    content: [
      { type: "text", text: "Three kinds of content:" },
      { type: "image", data: PIXEL_PNG, mimeType: "image/png" },
      embedded("test://mixed-content-resource", "application/json", JSON.stringify({ test: "data", value: 123 })),
    ],
  }));
  add("test_error_handling", () => ({
    content: [{ type: "text", text: "This tool intentionally returns an error for testing" }],
    isError: true,
  }));
  add("test_tool_with_logging", async ({ mcpReq }) => {
    for (const step of ["started", "running", "done"]) await mcpReq.log("info", `Tool execution ${step}`);
    return text("Logged three times.");
  });
  add("test_logging_tool", async ({ mcpReq }) => {
    await mcpReq.log("info", "Logged at the client's request.");
    return text("Logged if the client requested it.");
  });
  add("test_tool_with_progress", async (context) => {
    for (const progress of [0, 50, 100]) await report(context, progress);
    return text(String(context.mcpReq._meta?.progressToken ?? "no progress token"));
  });
  add("test_streaming_elicitation", async (context) => {
    await report(context, 50);
    return text("Streamed.");
  });
  add("test_reconnection", async ({ http }) => {
    http?.closeSSE?.();
    return text("Answered after the stream was closed.");
  });
  add("test_trigger_tool_change", async () => {
    await hub().listChanged(SUBJECT, { kind: "tools_list_changed" });
    return text("Changed.");
  });
  add("test_trigger_prompt_change", async () => {
    await hub().listChanged(SUBJECT, { kind: "prompts_list_changed" });
    return text("Changed.");
  });
  add("trigger_resource_update", async () => {
    await hub().resourceUpdated("test://watched-resource");
    return text("Changed.");
  });
  const input = fromJsonSchema<Record<string, unknown>>(SCHEMA_2020_12);
  server.registerTool(
    "json_schema_2020_12_tool",
    { description: "Fixture with JSON Schema 2020-12 keywords", inputSchema: input },
    async (toolArguments) => text(JSON.stringify(toolArguments)),
  );
  const withHeader = fromJsonSchema<{ region: string }>(HEADER_SCHEMA);
  server.registerTool(
    "test_header_parameter",
    { description: "Fixture with a parameter that is also a header", inputSchema: withHeader },
    async ({ region }) => text(region),
  );
}

function text(value: string): CallToolResult {
  return { content: [{ type: "text", text: value }] };
}

function embedded(uri: string, mimeType: string, value: string) {
  return { type: "resource" as const, resource: { uri, mimeType, text: value } };
}

async function report({ mcpReq }: ServerContext, progress: number): Promise<void> {
  const progressToken = mcpReq._meta?.progressToken;
  if (progressToken === undefined) return;
  await mcpReq.notify({
    method: "notifications/progress",
    params: { progressToken, progress, total: 100, message: `${progress} of 100` },
  });
}
