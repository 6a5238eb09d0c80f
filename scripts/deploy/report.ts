// What a deployment says when it is done: where it is, how its first owner is made, how clients are connected.
import type { Gatehouse } from "../../src/config.ts";
import { administeringRoles } from "../../src/policy/names.ts";
import { clientLines } from "../../src/web/clients.ts";

/** As src/web/set-up.tsx has it, which only the bundler can read. */
export const SET_UP_PATH = "/set-up";

/** `setupCode` is undefined when the Worker had one before. */
export function reportLines(
  { organisation, policy }: Gatehouse,
  origin: string,
  setupCode: string | undefined,
): readonly string[] {
  return [
    "",
    `Gatehouse serves ${organisation.name} at ${origin}`,
    `MCP endpoint: ${origin}/mcp`,
    setupCode === undefined
      ? "Set-up code: the one that the first deployment showed. It makes the first owner, once."
      : `Set-up code: ${setupCode}\n  The first user who signs in at ${origin}${SET_UP_PATH} and enters it becomes the owner. It works once; keep it until then.\n  If others can read this log, void it once you are the owner, or at once: npm run setup:void -- --remote`,
    ...(administeringRoles(policy).length === 0
      ? ["  For that a role of the policy file needs administers: true; none has it yet."]
      : []),
    ...(policy.sources.length === 0
      ? [
          "",
          "It has no data sources yet: declare them in src/gatehouse.config.ts (docs/operating.md), and deploy again.",
        ]
      : []),
    "",
    "Add it to a client:",
    ...clientLines(`${origin}/mcp`).map(({ client, how, paste }) => `  ${client} (${how}):\n    ${paste}`),
    "",
    `Look at it as a client does: npm run doctor -- ${origin}`,
    "Commit wrangler.jsonc if it has changed, so that the next deployment finds the same databases.",
  ];
}
