// A gateway over the test's own bindings for any policy, so that one person can be met under two policies in turn.
import { env } from "cloudflare:workers";
import { createGateway } from "../../src/access/gateway.ts";
import type { Gateway, GatewayDependencies } from "../../src/access/gateway.ts";
import type { Gatehouse } from "../../src/config.ts";
import { openSources } from "../../src/sources/registry.ts";
import { TOKEN_KEY } from "./governed.ts";
import { createScratch } from "../../src/sql/scratch.ts";

/** `background` gets what would go on behind the answer; `watching` logs calls and refuses statements. */
export function gatewayFor(
  { policy, organisation, limits }: Gatehouse,
  background: (work: Promise<unknown>) => void = () => {},
  watching: Pick<GatewayDependencies, "logCall" | "statements"> = {},
): Gateway {
  const index = { ...limits, database: env.GATEHOUSE_DB, now: Date.now };
  return createGateway({
    policy,
    organisation,
    limits,
    sources: openSources(policy, env, { ...limits, tokenKey: TOKEN_KEY, log: () => {}, background, index }),
    ledgerOf: (subjectId) => env.LEDGER.get(env.LEDGER.idFromName(subjectId)),
    workspaceOf: (subjectId) => env.WORKSPACE.get(env.WORKSPACE.idFromName(subjectId)),
    scratch: createScratch(),
    newId: () => crypto.randomUUID().replaceAll("-", ""),
    waitUntil: () => {},
    ...watching,
  });
}

/** A person of their own, with this email and so with its roles. */
export function callerAs(email: string, subjectId = crypto.randomUUID()) {
  return { identity: { subjectId, email, groups: [] }, clientId: "test" };
}
