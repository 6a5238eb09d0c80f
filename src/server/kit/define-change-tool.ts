// Defines tools that propose a change. Behind the proposal, the person who has to decide it is asked by their own client, where it can: in
// a form that the policy names, or by a link to the page. No argument of a tool decides anything.
import { inputRequired, inputResponse } from "@modelcontextprotocol/server";
import type { CallToolResult, InputRequest, InputRequests, ServerContext } from "@modelcontextprotocol/server";
import * as z from "zod";
import type { ChangeAnswer, ProposedAnswer } from "../../gateway/change.ts";
import type { ChangeQuestion } from "../../gateway/change-question.ts";
import type { Gateway, ToolGateway } from "../../gateway/gateway.ts";
import type { Caller } from "../../lib/identity.ts";
import type { UserQuestion } from "../../mcp/elicitation/input-required.ts";
import { getCallName } from "../../mcp/wire/call-id.ts";
import { getCaller } from "./caller.ts";
import { addNotices, collectNotices, createTool } from "./register-tool.ts";
import type { Tool, ToolDescription, ToolHandler } from "./register-tool.ts";
import { jsonResult, toolError } from "./tool-result.ts";

/** The definition of a tool that proposes a change. */
interface ChangeToolDefinition<Input extends z.ZodObject> extends ToolDescription<Input> {
  /** Makes exactly one gateway call. */
  readonly propose: (gateway: ToolGateway, caller: Caller, input: z.output<Input>) => Promise<ProposedAnswer>;
}

/** The change that a person was asked about. */
const askedChangeSchema = z.strictObject({ change: z.string(), proof: z.string() });
type AskedChange = z.output<typeof askedChangeSchema>;

/** Defines the tool. */
export function defineChangeTool<Input extends z.ZodObject>({
  propose,
  ...description
}: ChangeToolDefinition<Input>): Tool {
  const annotations = { readOnlyHint: false, destructiveHint: true, openWorldHint: false };
  return createTool(description, annotations, (server, { gateway, reporter, questions }) => {
    const proposeOnce = async (input: z.output<Input>, context: ServerContext) => {
      const { value, notices } = await collectNotices(context, async (caller) =>
        propose(gateway, { ...caller, callId: getCallName(context) }, input),
      );
      return { result: addNotices(jsonResult(value.answer), notices), question: value.question };
    };
    /** Maps errors within the round, so that they are stored as the outcome of an answer that was used up. */
    const answerWith = async (
      context: ServerContext,
      work: (caller: Caller) => Promise<ChangeAnswer>,
    ): Promise<CallToolResult> => {
      try {
        const { value, notices } = await collectNotices(context, work);
        return addNotices(jsonResult(value), notices);
      } catch (error) {
        return toolError(error, reporter);
      }
    };
    const proposeOnly: ToolHandler<Input> = async (input, context) => (await proposeOnce(input, context)).result;
    if (questions === undefined) return proposeOnly;
    const proposeAndAsk = questions.createCallback(server, {
      name: description.name,
      parseState: (state) => askedChangeSchema.parse(state),
      async run(input: z.output<Input>, state: AskedChange | undefined, context) {
        if (state !== undefined) return answerWith(context, async (caller) => finish(gateway, caller, state, context));
        try {
          const { result, question } = await proposeOnce(input, context);
          return question === null ? result : buildQuestion(question, result);
        } catch (error) {
          return toolError(error, reporter);
        }
      },
      findOutcome: async ({ change }, context) =>
        answerWith(context, async (caller) => gateway.viewChange(caller, change)),
    });
    // No person is in front of a program with a personal access token, and it has no ledger that could store a question.
    return async (input, context) =>
      getCaller(context).identity.token === undefined ? proposeAndAsk(input, context) : proposeOnly(input, context);
  });
}

const DECISION = "decision";
const PAGE = "page";

const decisionContentSchema = z.looseObject({ [DECISION]: z.enum(["approve", "deny"]) });

/** No default: pressing Enter approves nothing. */
function buildForm(message: string): InputRequest {
  return inputRequired.elicit({
    message,
    requestedSchema: {
      type: "object",
      properties: { [DECISION]: { type: "string", title: "Your decision", enum: ["approve", "deny"] } },
      required: [DECISION],
    },
  });
}

/** The form is preferred, because only clients that the policy names get one. */
function buildQuestion(
  { change, proof, url, summary, form }: ChangeQuestion,
  fallback: CallToolResult,
): UserQuestion<AskedChange> {
  const forms: readonly InputRequests[] = form === null ? [] : [{ [DECISION]: buildForm(form) }];
  const message = `${summary}? Nothing has changed yet. Open the page, look at the rows and decide there.`;
  return {
    kind: "question",
    requestOptions: [...forms, { [PAGE]: inputRequired.elicitUrl({ message, url }) }],
    state: { change, proof },
    fallback,
  };
}

/** Does what the person has answered. A form that was closed, and a page that was not opened, decide nothing. */
async function finish(
  gateway: Gateway,
  caller: Caller,
  { change: id, proof }: AskedChange,
  { mcpReq: { inputResponses } }: ServerContext,
): Promise<ChangeAnswer> {
  const answer = inputResponse(inputResponses, DECISION);
  if (answer.kind === "elicit" && answer.action !== "cancel") {
    const content = decisionContentSchema.safeParse(answer.content);
    const isDenied = answer.action === "decline" || (content.success && content.data[DECISION] === "deny");
    if (isDenied) return gateway.decideInForm(caller, { id, approves: false, proof });
    if (content.success) return gateway.decideInForm(caller, { id, approves: true, proof });
  }
  const page = inputResponse(inputResponses, PAGE);
  const isOpened = page.kind === "elicit" && page.action === "accept";
  return isOpened ? gateway.awaitDecision(caller, id) : gateway.viewChange(caller, id);
}
