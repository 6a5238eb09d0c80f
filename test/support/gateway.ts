// Creates a gateway over the test's bindings for any policy, so that one user can make calls under two policies in turn.
import { env } from "cloudflare:workers";
import { createGateway } from "../../src/gateway/gateway.ts";
import type { Gateway, GatewayDependencies } from "../../src/gateway/gateway.ts";
import type { Gatehouse } from "../../src/config/define-gatehouse.ts";
import { openChanges } from "../../src/app/changes.ts";
import { openSources } from "../../src/app/open-sources.ts";
import { TOKEN_KEY } from "./governed.ts";
import { createSchemaSandbox } from "../../src/sql/schema-sandbox.ts";

/** Creates a gateway. `background` receives work that continues after the answer; `overrides` replaces dependencies. */
export function gatewayFor(
  config: Gatehouse,
  background: (work: Promise<unknown>) => void = () => {},
  overrides: Partial<GatewayDependencies> = {},
): Gateway {
  const { policy, organisation, limits, audit } = config;
  const index = { ...limits, database: env.GATEHOUSE_DB, now: Date.now };
  const sources = openSources(policy, env, {
    ...limits,
    maskingTokenKey: TOKEN_KEY,
    log: () => {},
    waitUntil: background,
    index,
  });
  return createGateway({
    policy,
    organisation,
    limits,
    audit,
    sources,
    changes: openChanges(config, env, sources),
    openLedger: (subjectId) => env.LEDGER.get(env.LEDGER.idFromName(subjectId)),
    openWorkspace: (subjectId) => env.WORKSPACE.get(env.WORKSPACE.idFromName(subjectId)),
    schemaSandbox: createSchemaSandbox(),
    newId: () => crypto.randomUUID().replaceAll("-", ""),
    waitUntil: () => {},
    ...overrides,
  });
}

/** A caller with this email address, and so with its roles; a new subject by default. */
export function callerAs(email: string, subjectId = crypto.randomUUID()) {
  return { identity: { subjectId, email, groups: [] }, clientId: "test" };
}
