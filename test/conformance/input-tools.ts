// Fixture tools that need input from the client. Each returns the required input, which works in both eras.
import { acceptedContent, inputRequired, inputResponse } from "@modelcontextprotocol/server";
import type {
  CallToolResult,
  InputRequest,
  InputRequests,
  InputRequiredResult,
  McpServer,
  ServerContext,
} from "@modelcontextprotocol/server";
import * as z from "zod";
import type { UserQuestion, InputRequiredTools } from "../../src/mcp/elicitation/input-required.ts";

type Answer = CallToolResult | InputRequiredResult;

const NOTHING = z.object({});

/** Registers the tools that ask for input, with and without rounds. */
export function registerInputTools(server: McpServer, rounds: InputRequiredTools): void {
  const add = (name: string, run: (context: ServerContext) => Answer | Promise<Answer>): void => {
    server.registerTool(name, { description: `Fixture ${name}`, inputSchema: NOTHING }, async (_input, context) =>
      run(context),
    );
  };
  /** Adds a tool that asks for one input and answers with a description of it. */
  const addAsking = (
    name: string,
    key: string,
    request: () => InputRequest,
    describe: (context: ServerContext) => string,
  ): void =>
    add(name, (context) =>
      isMissing(context, key) ? inputRequired({ inputRequests: { [key]: request() } }) : text(describe(context)),
    );

  addAsking(
    "test_input_required_result_elicitation",
    "user_name",
    askName,
    (context) => `Hello, ${contentOf(context, "user_name", "name")}!`,
  );
  addAsking(
    "test_input_required_result_sampling",
    "sample_request",
    () => sample("What is the capital of France?"),
    (context) => `The model said: ${sampledText(context, "sample_request")}`,
  );
  addAsking(
    "test_input_required_result_list_roots",
    "roots_request",
    () => inputRequired.listRoots(),
    (context) => `The client has ${rootCount(context, "roots_request")} root(s)`,
  );
  addAsking(
    "test_missing_capability",
    "sample_request",
    () => sample("Anything"),
    () => "The client can sample.",
  );
  addAsking(
    "test_elicitation_sep1034_defaults",
    "form",
    () => formOf("Please check these values.", DEFAULTS),
    (context) => describeForm(context, "form"),
  );
  addAsking(
    "test_elicitation_sep1330_enums",
    "form",
    () => formOf("Please choose.", CHOICES),
    (context) => describeForm(context, "form"),
  );
  registerRoundTools(server, rounds);

  server.registerTool(
    "test_elicitation",
    { description: "Fixture test_elicitation", inputSchema: z.object({ message: z.string() }) },
    async ({ message }, context): Promise<Answer> => {
      const properties = { response: { type: "string", description: "What you say" } } as const;
      return isMissing(context, "form")
        ? inputRequired({ inputRequests: { form: formOf(message, properties, ["response"]) } })
        : text(describeForm(context, "form"));
    },
  );
  server.registerTool(
    "test_sampling",
    { description: "Fixture test_sampling", inputSchema: z.object({ prompt: z.string() }) },
    async ({ prompt }, context): Promise<Answer> =>
      isMissing(context, "sample")
        ? inputRequired({ inputRequests: { sample: sample(prompt) } })
        : text(`LLM response: ${sampledText(context, "sample")}`),
  );
}

const roundState = z.object({ round: z.int(), name: z.string().optional() });
/** The state that a round passes to the next. */
type RoundState = z.output<typeof roundState>;

function registerRoundTools(server: McpServer, rounds: InputRequiredTools): void {
  const add = (
    name: string,
    run: (state: RoundState | undefined, context: ServerContext) => CallToolResult | UserQuestion<RoundState>,
  ): void => {
    const tool = {
      name,
      parseState: (value: unknown) => roundState.parse(value),
      run: async (_input: object, state: RoundState | undefined, context: ServerContext) => run(state, context),
    };
    const config = { description: `Fixture ${name}`, inputSchema: NOTHING };
    server.registerTool(name, config, rounds.createCallback(server, tool));
  };
  const ask = (state: RoundState, ...requestOptions: InputRequests[]): UserQuestion<RoundState> => ({
    kind: "question",
    requestOptions,
    state,
    fallback: text("The client supports none of the requested inputs."),
  });
  const confirm = () => formOf("Please confirm.", { ok: { type: "boolean" } }, ["ok"]);

  for (const [name, successText] of [
    ["test_input_required_result_request_state", "state-ok"],
    ["test_input_required_result_tampered_state", "integrity-ok"],
  ] as const) {
    add(name, (state, context) =>
      state === undefined || isMissing(context, "confirm")
        ? ask({ round: 1 }, { confirm: confirm() })
        : text(`${successText}: the state came back unchanged`),
    );
  }
  add("test_input_required_result_multiple_inputs", (state, context) => {
    const inputs = {
      user_name: askName(),
      greeting: sample("Generate a greeting"),
      client_roots: inputRequired.listRoots(),
    };
    if (state === undefined || Object.keys(inputs).some((key) => isMissing(context, key)))
      return ask({ round: 1 }, inputs);
    const name = contentOf(context, "user_name", "name");
    return text(`${name} · ${sampledText(context, "greeting")} · ${rootCount(context, "client_roots")}`);
  });
  add("test_input_required_result_multi_round", (state, context) => {
    if (state?.round === 2 && !isMissing(context, "step2"))
      return text(`${state.name} likes ${contentOf(context, "step2", "color")}`);
    if (state?.round === 1 && !isMissing(context, "step1")) {
      const step2 = formOf("Step 2: what is your favourite colour?", { color: { type: "string" } }, ["color"]);
      return ask({ round: 2, name: contentOf(context, "step1", "name") }, { step2 });
    }
    return ask({ round: 1 }, { step1: askName() });
  });
  add("test_input_required_result_capabilities", (_state, context) => {
    const answeredKeys = Object.keys(context.mcpReq.inputResponses ?? {});
    if (answeredKeys.length > 0) return text(`capabilities-ok: ${answeredKeys.join(", ")}`);
    const elicitation = { elicit_input: formOf("Enter a value.", { value: { type: "string" } }, ["value"]) };
    const sampling = { sample_input: sample("Anything") };
    return ask({ round: 1 }, { ...elicitation, ...sampling }, elicitation, sampling);
  });
}

function askName(): InputRequest {
  return formOf("What is your name?", { name: { type: "string" } }, ["name"]);
}

type Properties = Parameters<typeof inputRequired.elicit>[0]["requestedSchema"] extends infer Schema
  ? Schema extends { properties: infer P }
    ? P
    : never
  : never;

/** Builds an elicitation request for a form. */
export function formOf(message: string, properties: Properties, required: string[] = []): InputRequest {
  return inputRequired.elicit({ message, requestedSchema: { type: "object", properties, required } });
}

function sample(prompt: string): InputRequest {
  return inputRequired.createMessage({
    messages: [{ role: "user", content: { type: "text", text: prompt } }],
    maxTokens: 100,
  });
}

function isMissing({ mcpReq }: ServerContext, key: string): boolean {
  return inputResponse(mcpReq.inputResponses, key).kind === "missing";
}

function contentOf({ mcpReq }: ServerContext, key: string, field: string): string {
  const value = acceptedContent(mcpReq.inputResponses, key)?.[field];
  return typeof value === "string" ? value : "no value";
}

function sampledText({ mcpReq }: ServerContext, key: string): string {
  const view = inputResponse(mcpReq.inputResponses, key);
  if (view.kind !== "sampling") return "no sample";
  const content = Array.isArray(view.result.content) ? view.result.content[0] : view.result.content;
  return content?.type === "text" ? content.text : "no text";
}

function rootCount({ mcpReq }: ServerContext, key: string): number {
  const view = inputResponse(mcpReq.inputResponses, key);
  return view.kind === "roots" ? view.roots.length : 0;
}

function describeForm({ mcpReq }: ServerContext, key: string): string {
  const view = inputResponse(mcpReq.inputResponses, key);
  return view.kind === "elicit" ? `action=${view.action}, content=${JSON.stringify(view.content ?? {})}` : "no form";
}

function text(value: string): CallToolResult {
  return { content: [{ type: "text", text: value }] };
}

const DEFAULTS: Properties = {
  name: { type: "string", description: "Name", default: "John Doe" },
  age: { type: "integer", description: "Age", default: 30 },
  score: { type: "number", description: "Score", default: 95.5 },
  status: { type: "string", description: "Status", enum: ["active", "inactive", "pending"], default: "active" },
  verified: { type: "boolean", description: "Verified", default: true },
};

const titled = (values: readonly string[]) =>
  values.map((value, index) => ({ const: value, title: `Choice ${index + 1}` }));

const CHOICES: Properties = {
  untitledSingle: { type: "string", description: "One", enum: ["option1", "option2", "option3"] },
  titledSingle: { type: "string", description: "One, with titles", oneOf: titled(["value1", "value2", "value3"]) },
  legacyEnum: {
    type: "string",
    description: "One, legacy format",
    enum: ["opt1", "opt2", "opt3"],
    enumNames: ["Option One", "Option Two", "Option Three"],
  },
  untitledMulti: {
    type: "array",
    description: "Several",
    minItems: 1,
    maxItems: 3,
    items: { type: "string", enum: ["option1", "option2", "option3"] },
  },
  titledMulti: {
    type: "array",
    description: "Several, with titles",
    minItems: 1,
    maxItems: 3,
    items: { anyOf: titled(["value1", "value2", "value3"]) },
  },
};
