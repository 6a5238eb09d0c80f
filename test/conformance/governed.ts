// Makes the fixtures governed, as the product's tools are: each call notes under which grants it answers.
import type { McpServer, ServerContext } from "@modelcontextprotocol/server";
import { grantsNoteOf } from "../../src/lib/answer-grants.ts";
import { newId } from "../../src/lib/ids.ts";
import type { Rounds } from "../../src/mcp/rounds.ts";

type DigestOf = (context: ServerContext) => Promise<string>;

async function note(context: ServerContext, digestOf: DigestOf): Promise<void> {
  const authInfo = context.http?.authInfo;
  const noteGrants = authInfo === undefined ? undefined : grantsNoteOf(authInfo);
  noteGrants?.({ call: newId(), digest: await digestOf(context) });
}

/** Every tool that is registered from now on notes its grants before it runs. */
export function governTools(server: McpServer, digestOf: DigestOf): void {
  const register = server.registerTool.bind(server);
  const governed = (name: string, config: object, run: (input: unknown, context: ServerContext) => unknown): unknown =>
    Reflect.apply(register, undefined, [
      name,
      config,
      async (input: unknown, context: ServerContext) => {
        await note(context, digestOf);
        return run(input, context);
      },
    ]);
  Object.assign(server, { registerTool: governed });
}

/** Every round notes them: what rounds keep is kept under the grants of its own calls. */
export function governRounds(rounds: Rounds, digestOf: DigestOf): Rounds {
  return {
    ...rounds,
    callbackOf: (server, tool) =>
      rounds.callbackOf(server, {
        ...tool,
        async run(input, state, context) {
          await note(context, digestOf);
          return tool.run(input, state, context);
        },
      }),
  };
}
