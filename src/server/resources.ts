// Datasets and documents as MCP resources: listed and read through the same gateway as the tools.
import { ResourceTemplate } from "@modelcontextprotocol/server";
import type { McpServer, ReadResourceResult, ServerContext } from "@modelcontextprotocol/server";
import { callerOf } from "./caller.ts";
import { resourceError } from "./result.ts";
import type { ToolDependencies } from "./tool.ts";

const DATASET_TEMPLATE = "gatehouse://dataset/{source}/{table}";
const DOCUMENT_TEMPLATE = "gatehouse://document/{source}/{+key}";

export function registerResources(server: McpServer, { gateway, reporter }: ToolDependencies): void {
  const list = async (context: ServerContext) => {
    try {
      return { resources: [...(await gateway.listResources(callerOf(context)))] };
    } catch (error) {
      throw resourceError(error, "gatehouse://", reporter);
    }
  };
  const read = async (uri: URL, context: ServerContext, mimeType: string): Promise<ReadResourceResult> => {
    try {
      const text = await gateway.readResource(callerOf(context), uri.href);
      return { contents: [{ uri: uri.href, mimeType, text }] };
    } catch (error) {
      throw resourceError(error, uri.href, reporter);
    }
  };
  // The list of the first template holds everything, so that resources/list is one gateway call.
  server.registerResource(
    "dataset",
    new ResourceTemplate(DATASET_TEMPLATE, { list }),
    { title: "Dataset", description: "A table: its columns, meanings and masks" },
    async (uri, _variables, context) => read(uri, context, "text/plain"),
  );
  server.registerResource(
    "document",
    new ResourceTemplate(DOCUMENT_TEMPLATE, { list: undefined }),
    { title: "Document", description: "A document's text" },
    async (uri, _variables, context) => read(uri, context, "text/markdown"),
  );
}
