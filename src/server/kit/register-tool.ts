// Registers tools, for the definitions of each kind of tool. It is the only caller of the SDK's `registerTool`, so that no tool can skip
// error mapping.
import type {
  CallToolResult,
  InputRequiredResult,
  McpServer,
  ServerContext,
  ToolAnnotations,
} from "@modelcontextprotocol/server";
import type * as z from "zod";
import type { Caller } from "../../lib/identity.ts";
import type { Gateway } from "../../gateway/gateway.ts";
import type { InputRequiredTools } from "../../mcp/elicitation/input-required.ts";
import { getCaller } from "./caller.ts";
import { toolError } from "./tool-result.ts";
import type { ErrorReporter } from "./tool-result.ts";
import { requireWellFormed } from "./well-formed-input.ts";
import { memoizeSchema } from "./memoized-schema.ts";
import type { NameArguments } from "./memoized-schema.ts";

/** The dependencies that every tool, prompt and resource handler gets. */
export interface ToolDependencies {
  readonly gateway: Gateway;
  readonly reporter: ErrorReporter;
  /** Asks the user between two rounds of a tool; undefined where no secret of the deployment can sign its questions. */
  readonly questions: InputRequiredTools | undefined;
}

/** A tool ready to be registered. */
export interface Tool {
  readonly name: string;
  register(server: McpServer, dependencies: ToolDependencies): void;
}

/** How a tool presents itself to clients. */
export interface ToolDescription<Input extends z.ZodObject> {
  /** A stable name: assistants and users refer to it. */
  readonly name: string;
  readonly title: string;
  /** Written for the model. Every word costs context in each conversation. */
  readonly description: string;
  /** A plain object: no unions, which some clients refuse. */
  readonly input: Input;
  /** Arguments that name something, for which "" means "not given". */
  readonly names?: NameArguments<Input>;
  /** Which arguments belong together, for the message about an unknown argument. */
  readonly usage?: string;
}

/** Answers a call of a tool. What it throws becomes an error result. */
export type ToolHandler<Input extends z.ZodObject> = (
  input: z.output<Input>,
  context: ServerContext,
) => Promise<CallToolResult | InputRequiredResult>;

/** Creates a tool. `createHandler` is called once for each server. */
export function createTool<Input extends z.ZodObject>(
  { name, title, description, input: schema, names, usage }: ToolDescription<Input>,
  annotations: ToolAnnotations,
  createHandler: (server: McpServer, dependencies: ToolDependencies) => ToolHandler<Input>,
): Tool {
  const inputSchema = memoizeSchema(schema, names, usage);
  return {
    name,
    register(server, dependencies) {
      const handle = createHandler(server, dependencies);
      server.registerTool(name, { title, description, inputSchema, annotations }, async (input, context) => {
        try {
          requireWellFormed(input);
          return await handle(input, context);
        } catch (error) {
          return toolError(error, dependencies.reporter);
        }
      });
    },
  };
}

/** Works for the caller of a request, and collects the notices that the work has for the user. */
export async function collectNotices<T>(
  context: ServerContext,
  work: (caller: Caller) => Promise<T>,
): Promise<{ readonly value: T; readonly notices: readonly string[] }> {
  const notices: string[] = [];
  const value = await work({ ...getCaller(context), onNotice: (notice: string) => void notices.push(notice) });
  return { value, notices };
}

/** Adds notices for the user behind the answer, each as a text block of its own. */
export function addNotices(result: CallToolResult, notices: readonly string[]): CallToolResult {
  if (notices.length === 0) return result;
  return { ...result, content: [...result.content, ...notices.map((text) => ({ type: "text" as const, text }))] };
}
