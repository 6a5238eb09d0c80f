// Datasets, documents and kept results as MCP resources: listed and read through the same gateway as the tools.
import { ResourceNotFoundError, ResourceTemplate } from "@modelcontextprotocol/server";
import type { McpServer, ReadResourceResult, ServerContext } from "@modelcontextprotocol/server";
import { AppError } from "../errors.ts";
import { callerOf } from "./caller.ts";
import { resourceError } from "./result.ts";
import type { ToolDependencies } from "./tool.ts";

/** Resources of one page of resources/list. */
const PAGE_SIZE = 100;
const DATASET_TEMPLATE = "gatehouse://dataset/{source}/{table}";
/** No key or name of ours is as long. */
const MAX_URI_LENGTH = 2000;
const ROW_TEMPLATE = "gatehouse://dataset/{source}/{table}/{key}";
const DOCUMENTS_TEMPLATE = "gatehouse://document/{source}";
const RESULT_TEMPLATE = "gatehouse://result/{id}";
const RESULT_PAGE_TEMPLATE = "gatehouse://result/{id}/{page}";
const DOCUMENT_TEMPLATE = "gatehouse://document/{source}/{+key}";

export function registerResources(server: McpServer, { gateway, reporter }: ToolDependencies): void {
  const read = async (uri: URL, context: ServerContext, mimeType: string): Promise<ReadResourceResult> => {
    if (uri.href.length > MAX_URI_LENGTH) throw new ResourceNotFoundError(uri.href.slice(0, MAX_URI_LENGTH));
    try {
      const { text, notes } = await gateway.readResource(callerOf(context), uri.href);
      const said = notes.map((note) => ({ uri: uri.href, mimeType: "text/plain", text: note }));
      return { contents: [{ uri: uri.href, mimeType, text }, ...said] };
    } catch (error) {
      throw resourceError(error, uri.href, reporter);
    }
  };
  server.registerResource(
    "dataset",
    new ResourceTemplate(DATASET_TEMPLATE, { list: undefined }),
    { title: "Dataset", description: "A table: its columns, meanings and masks" },
    async (uri, _variables, context) => read(uri, context, "text/plain"),
  );
  const others = [
    {
      name: "row",
      template: ROW_TEMPLATE,
      title: "Row",
      description: "One row of a table that has a key",
      mimeType: "application/json",
    },
    {
      name: "documents",
      template: DOCUMENTS_TEMPLATE,
      title: "Documents",
      description: "What a document source holds",
      mimeType: "text/plain",
    },
    {
      name: "document",
      template: DOCUMENT_TEMPLATE,
      title: "Document",
      description: "A document's text",
      mimeType: "text/markdown",
    },
    {
      name: "result",
      template: RESULT_TEMPLATE,
      title: "Result",
      description: "A kept result as CSV, its first page",
      mimeType: "text/csv",
    },
    {
      name: "result-page",
      template: RESULT_PAGE_TEMPLATE,
      title: "Page of a result",
      description: "A later page of a kept result as CSV",
      mimeType: "text/csv",
    },
  ];
  for (const { name, template, title, description, mimeType } of others) {
    const resource = new ResourceTemplate(template, { list: undefined });
    server.registerResource(name, resource, { title, description }, async (uri, _variables, context) =>
      read(uri, context, mimeType),
    );
  }
  // One gateway call for all of them, told page by page.
  server.server.setRequestHandler("resources/list", async ({ params }, context) => {
    try {
      const start = startOf(params?.cursor);
      const entries = await gateway.listResources(callerOf(context));
      const end = start + PAGE_SIZE;
      const page = { resources: entries.slice(start, end).map((entry) => ({ ...entry })) };
      return end < entries.length ? { ...page, nextCursor: String(end) } : page;
    } catch (error) {
      throw resourceError(error, "gatehouse://", reporter);
    }
  });
}

/** Throws `invalid_input` for what is no cursor of ours. */
function startOf(cursor: string | undefined): number {
  if (cursor === undefined) return 0;
  if (!/^[1-9][0-9]{0,8}$/.test(cursor))
    throw new AppError("invalid_input", "The cursor is not one that this server gave. Begin without one.");
  return Number(cursor);
}
