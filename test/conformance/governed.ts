// Makes the fixtures governed like the product's tools: each call reports the grants under which it answers.
import type { McpServer, ServerContext } from "@modelcontextprotocol/server";
import { getGrantsListener } from "../../src/lib/answer-grants.ts";
import { newId } from "../../src/lib/ids.ts";
import type { InputRequiredTools } from "../../src/mcp/elicitation/input-required.ts";

type DigestOf = (context: ServerContext) => Promise<string>;

async function reportGrants(context: ServerContext, digestOf: DigestOf): Promise<void> {
  const authInfo = context.http?.authInfo;
  const onGrants = authInfo === undefined ? undefined : getGrantsListener(authInfo);
  onGrants?.({ call: newId(), digest: await digestOf(context) });
}

/** Makes every tool that is registered afterwards report its grants before it runs. */
export function governTools(server: McpServer, digestOf: DigestOf): void {
  const register = server.registerTool.bind(server);
  const governed = (name: string, config: object, run: (input: unknown, context: ServerContext) => unknown): unknown =>
    Reflect.apply(register, undefined, [
      name,
      config,
      async (input: unknown, context: ServerContext) => {
        await reportGrants(context, digestOf);
        return run(input, context);
      },
    ]);
  Object.assign(server, { registerTool: governed });
}

/** Makes every round report its grants before it runs, so that stored states and outcomes carry them. */
export function governRounds(rounds: InputRequiredTools, digestOf: DigestOf): InputRequiredTools {
  return {
    ...rounds,
    createCallback: (server, tool) =>
      rounds.createCallback(server, {
        ...tool,
        async run(input, state, context) {
          await reportGrants(context, digestOf);
          return tool.run(input, state, context);
        },
      }),
  };
}
