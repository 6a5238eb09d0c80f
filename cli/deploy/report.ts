// Builds the text that a deployment prints when it is done: its URL, how the first owner signs in, and how to connect clients.
import type { Gatehouse } from "../../src/config/define-gatehouse.ts";
import { listAdministeringRoles } from "../../src/policy/member-input.ts";
import { listReachableGuides } from "../../src/pages/client-guides.ts";

/** The path of the setup page. Repeated from src/pages/setup-page.tsx, which Node cannot import; a test compares the two. */
export const SETUP_PATH = "/set-up";

/** Builds the report's lines. `setupCode` is undefined when an earlier deployment created it. */
export function reportLines(
  { organisation, policy }: Gatehouse,
  origin: string,
  setupCode: string | undefined,
): readonly string[] {
  const setup =
    setupCode === undefined
      ? ["Setup code: the first deployment printed it. It creates the first owner and works once."]
      : [
          `Setup code: ${setupCode}`,
          `  The first user who signs in at ${origin}${SETUP_PATH} and enters it becomes the owner. It works once; keep it until then.`,
          "  If others can read this log, void the code now or as soon as you are the owner: npm run setup:void -- --remote",
        ];
  return [
    "",
    `Gatehouse serves ${organisation.name} at ${origin}`,
    `MCP endpoint: ${origin}/mcp`,
    ...setup,
    ...(listAdministeringRoles(policy).length === 0
      ? ["  The code needs a role with administers: true in the policy file. No role has it yet."]
      : []),
    ...(policy.sources.length === 0
      ? [
          "",
          "The policy file has no sources yet: declare them in src/gatehouse.config.ts (docs/own-database.md), and deploy again.",
        ]
      : []),
    "",
    "Add it to a client:",
    ...listReachableGuides(`${origin}/mcp`).map(({ client, how, paste }) => `  ${client} (${how}):\n    ${paste}`),
    "",
    `Check the deployment as a client sees it: npm run doctor -- ${origin}`,
    "Commit wrangler.jsonc if it has changed, so that the next deployment finds the same databases.",
  ];
}
