// Serves datasets, rows, documents and stored results as MCP resources, through the same gateway as the tools.
import { ResourceNotFoundError } from "@modelcontextprotocol/server";
import type { McpServer } from "@modelcontextprotocol/server";
import { AppError } from "../errors.ts";
import { cutText } from "../lib/text-cut.ts";
import { getCaller } from "./kit/caller.ts";
import { resourceError } from "./kit/tool-result.ts";
import { requireWellFormed } from "./kit/well-formed-input.ts";
import type { ToolDependencies } from "./kit/define-tool.ts";

/** Resources in one page of resources/list. */
const PAGE_SIZE = 100;
/** Longer than the URI of any resource: an id has at most 1,000 characters, each of at most nine when it is escaped. */
const MAX_URI_CHARACTERS = 10_000;
/** How much of a longer URI an error repeats. */
const MAX_SHOWN_URI_CHARACTERS = 2000;
/** What the templates cover. An id without a scheme is not a URI, so `resources/read` does not take it. */
const RESOURCE_URI = /^gatehouse:\/\/(?:dataset|document|result|change)\/./s;

/** Documents and rows of one template differ in type, so a type stands only where it holds for all of them. */
const RESOURCE_TEMPLATES = [
  {
    name: "dataset",
    uriTemplate: "gatehouse://dataset/{source}/{table}",
    title: "Dataset",
    description: "A table: its columns, meanings and masks",
    mimeType: "text/plain",
  },
  {
    name: "row",
    uriTemplate: "gatehouse://dataset/{source}/{table}/{key}",
    title: "Row",
    description: "One row of a table that has a key",
    mimeType: "application/json",
  },
  {
    name: "documents",
    uriTemplate: "gatehouse://document/{source}",
    title: "Documents",
    description: "What a document source holds",
    mimeType: "text/plain",
  },
  {
    name: "document",
    uriTemplate: "gatehouse://document/{source}/{+key}",
    title: "Document",
    description: "A document's text",
  },
  {
    name: "result",
    uriTemplate: "gatehouse://result/{id}",
    title: "Result",
    description: "A kept result as CSV, its first page",
    mimeType: "text/csv",
  },
  {
    name: "result-page",
    uriTemplate: "gatehouse://result/{id}/{page}",
    title: "Page of a result",
    description: "A later page of a kept result as CSV",
    mimeType: "text/csv",
  },
] as const;

/** Registers `resources/templates/list`, `resources/read` and `resources/list`. */
export function registerResources({ server }: McpServer, { gateway, reporter }: ToolDependencies): void {
  server.setRequestHandler("resources/templates/list", () => ({
    resourceTemplates: RESOURCE_TEMPLATES.map((template) => ({ ...template })),
  }));
  // The SDK's own handler reads the URI as a WHATWG URL, which turns the document `a/../b` into `b`, another document.
  server.setRequestHandler("resources/read", async ({ params: { uri } }, context) => {
    try {
      requireWellFormed({ uri });
      if (uri.length > MAX_URI_CHARACTERS || !RESOURCE_URI.test(uri))
        throw new ResourceNotFoundError(cutText(uri, MAX_SHOWN_URI_CHARACTERS));
      const { text, mimeType, notes } = await gateway.readResource(getCaller(context), uri);
      const noteContents = notes.map((note) => ({ uri, mimeType: "text/plain", text: note }));
      return { contents: [{ uri, mimeType, text }, ...noteContents] };
    } catch (error) {
      throw error instanceof ResourceNotFoundError ? error : resourceError(error, uri, reporter);
    }
  });
  // One gateway call lists all resources; each response returns one page of them.
  server.setRequestHandler("resources/list", async ({ params }, context) => {
    try {
      requireWellFormed({ cursor: params?.cursor });
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
