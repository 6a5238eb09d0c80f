// Fixture prompts: each kind of content, one prompt with completions, and one that asks for input first.
import { acceptedContent, completable, inputRequired } from "@modelcontextprotocol/server";
import type { GetPromptResult, McpServer } from "@modelcontextprotocol/server";
import * as z from "zod";
import { formOf } from "./input-tools.ts";
import { PIXEL_PNG } from "./media.ts";

/** Registers the fixture prompts. */
export function registerPrompts(server: McpServer): void {
  server.registerPrompt("test_simple_prompt", { description: "Fixture without arguments" }, async () =>
    say("A plain prompt."),
  );
  const twoArguments = z.object({
    arg1: completable(z.string().describe("First"), (value) =>
      ["testing", "tested", "other"].filter((word) => word.startsWith(value)),
    ),
    arg2: z.string().describe("Second"),
  });
  server.registerPrompt(
    "test_prompt_with_arguments",
    { description: "Fixture with arguments", argsSchema: twoArguments },
    async ({ arg1, arg2 }) => say(`arg1='${arg1}', arg2='${arg2}'`),
  );
  server.registerPrompt(
    "test_prompt_with_embedded_resource",
    { description: "Fixture with a resource", argsSchema: z.object({ resourceUri: z.string() }) },
    async ({ resourceUri: uri }) => ({
      messages: [
        {
          role: "user",
          content: { type: "resource", resource: { uri, mimeType: "text/plain", text: "Text inside a resource." } },
        },
        { role: "user", content: { type: "text", text: "Please read it." } },
      ],
    }),
  );
  server.registerPrompt("test_prompt_with_image", { description: "Fixture with an image" }, async () => ({
    messages: [
      { role: "user", content: { type: "image", data: PIXEL_PNG, mimeType: "image/png" } },
      { role: "user", content: { type: "text", text: "Please look at it." } },
    ],
  }));
  server.registerPrompt(
    "test_input_required_result_prompt",
    { description: "Fixture that asks for input first" },
    async ({ mcpReq }) => {
      const content = acceptedContent(mcpReq.inputResponses, "user_context");
      if (content !== undefined) return say(`The context is ${String(content["context"])}`);
      return inputRequired({
        inputRequests: { user_context: formOf("Which context?", { context: { type: "string" } }, ["context"]) },
      });
    },
  );
}

function say(text: string): GetPromptResult {
  return { messages: [{ role: "user", content: { type: "text", text } }] };
}
