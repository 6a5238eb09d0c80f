// Serves datasets, rows, documents and stored results as MCP resources, through the same gateway as the tools.
import { ResourceNotFoundError, ResourceTemplate } from "@modelcontextprotocol/server";
import type { McpServer, ReadResourceResult, ServerContext } from "@modelcontextprotocol/server";
import { AppError } from "../errors.ts";
import { getCaller } from "./kit/caller.ts";
import { resourceError } from "./kit/tool-result.ts";
import type { ToolDependencies } from "./kit/define-tool.ts";

/** Resources in one page of resources/list. */
const PAGE_SIZE = 100;
/** Longer than the URI of any resource. */
const MAX_URI_CHARACTERS = 2000;
const DATASET_TEMPLATE = "gatehouse://dataset/{source}/{table}";
const ROW_TEMPLATE = "gatehouse://dataset/{source}/{table}/{key}";
const DOCUMENTS_TEMPLATE = "gatehouse://document/{source}";
const RESULT_TEMPLATE = "gatehouse://result/{id}";
const RESULT_PAGE_TEMPLATE = "gatehouse://result/{id}/{page}";
const DOCUMENT_TEMPLATE = "gatehouse://document/{source}/{+key}";

/** Registers the resource templates, `resources/read` and `resources/list`. */
export function registerResources(server: McpServer, { gateway, reporter }: ToolDependencies): void {
  const readResource = async (uri: URL, context: ServerContext, mimeType: string): Promise<ReadResourceResult> => {
    if (uri.href.length > MAX_URI_CHARACTERS) throw new ResourceNotFoundError(uri.href.slice(0, MAX_URI_CHARACTERS));
    try {
      const { text, notes } = await gateway.readResource(getCaller(context), uri.href);
      const noteContents = notes.map((note) => ({ uri: uri.href, mimeType: "text/plain", text: note }));
      return { contents: [{ uri: uri.href, mimeType, text }, ...noteContents] };
    } catch (error) {
      throw resourceError(error, uri.href, reporter);
    }
  };
  server.registerResource(
    "dataset",
    new ResourceTemplate(DATASET_TEMPLATE, { list: undefined }),
    { title: "Dataset", description: "A table: its columns, meanings and masks" },
    async (uri, _variables, context) => readResource(uri, context, "text/plain"),
  );
  const resourceTemplates = [
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
  for (const { name, template, title, description, mimeType } of resourceTemplates) {
    const resource = new ResourceTemplate(template, { list: undefined });
    server.registerResource(name, resource, { title, description }, async (uri, _variables, context) =>
      readResource(uri, context, mimeType),
    );
  }
  // One gateway call lists all resources; each response returns one page of them.
  server.server.setRequestHandler("resources/list", async ({ params }, context) => {
    try {
      const start = parseCursor(params?.cursor);
      const entries = await gateway.listResources(getCaller(context));
      const end = start + PAGE_SIZE;
      const page = { resources: entries.slice(start, end).map((entry) => ({ ...entry })) };
      return end < entries.length ? { ...page, nextCursor: String(end) } : page;
    } catch (error) {
      throw resourceError(error, "gatehouse://", reporter);
    }
  });
}

/** Parses a cursor of resources/list. Throws `invalid_input` when this server cannot have issued it. */
function parseCursor(cursor: string | undefined): number {
  if (cursor === undefined) return 0;
  if (!/^[1-9][0-9]{0,8}$/.test(cursor))
    throw new AppError("invalid_input", "This server did not issue this cursor. Start again without a cursor.");
  return Number(cursor);
}
