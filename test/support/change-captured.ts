// Captures what the gateway hands to the object of a change, for tests that call the object or the source themselves.
import { env } from "cloudflare:workers";
import { createChangeProposals } from "../../src/changes/change-proposals.ts";
import { openChangeRegistry } from "../../src/changes/change-registry-store.ts";
import type { Proposal } from "../../src/changes/change-rpc.ts";
import type { Gatehouse } from "../../src/config/define-gatehouse.ts";
import { newId } from "../../src/lib/ids.ts";
import type { ChangeDeployment } from "./change-deployment.ts";
import { propose } from "./change-rounds.ts";
import type { RoundInput } from "./change-rounds.ts";

/** Returns the proposal that the object of a change would get. It is registered, but no object has it. */
export async function captureProposal(
  { changes }: ChangeDeployment,
  config: Gatehouse,
  input: RoundInput,
): Promise<Proposal> {
  let captured: Proposal | undefined;
  const stopped = new Error("captured");
  const proposals = createChangeProposals({
    tables: changes.tables,
    limits: config.limits,
    registry: openChangeRegistry(env.GATEHOUSE_DB),
    now: Date.now,
    newId,
    openChange: (id) => ({
      ...changes.openChange(id),
      async propose(proposal) {
        captured = proposal;
        throw stopped;
      },
    }),
  });
  await propose({ changes: { ...changes, proposals } }, config, input).catch((error: unknown) => {
    if (error !== stopped) throw error;
  });
  if (captured === undefined) throw new TypeError("nothing was proposed");
  return captured;
}
