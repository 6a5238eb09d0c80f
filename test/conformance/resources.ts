// Fixture resources: text, binary and a template.
import { ResourceTemplate } from "@modelcontextprotocol/server";
import type { McpServer } from "@modelcontextprotocol/server";
import { PIXEL_PNG } from "./media.ts";

/** Registers the fixture resources. */
export function registerResources(server: McpServer): void {
  for (const [name, value] of [
    ["static-text", "Text that never changes."],
    ["watched-resource", "Text that clients can subscribe to."],
    ["example-resource", "An example."],
  ] as const) {
    const uri = `test://${name}`;
    server.registerResource(name, uri, { description: `Fixture ${name}`, mimeType: "text/plain" }, async () => ({
      contents: [{ uri, mimeType: "text/plain", text: value }],
    }));
  }
  server.registerResource(
    "static-binary",
    "test://static-binary",
    { description: "Fixture static-binary", mimeType: "image/png" },
    async ({ href }) => ({
      contents: [{ uri: href, mimeType: "image/png", blob: PIXEL_PNG }],
    }),
  );
  const template = new ResourceTemplate("test://template/{id}/data", { list: undefined });
  server.registerResource(
    "template",
    template,
    { description: "Fixture template", mimeType: "application/json" },
    async ({ href }, { id }) => ({
      contents: [
        {
          uri: href,
          mimeType: "application/json",
          text: JSON.stringify({ id, templateTest: true, data: `Data of ${String(id)}` }),
        },
      ],
    }),
  );
}
