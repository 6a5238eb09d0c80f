// The product with the sample's policy, a grace period that a test can wait for, and a hub that can be unreachable: tests kill its
// process to show that the grant store survives over real storage.
import sample from "../../sample/gatehouse.config.ts";
import { createGatehouse } from "../../src/app/create-gatehouse.ts";

const gatehouse = createGatehouse({ ...sample, limits: { ...sample.limits, refreshGraceSeconds: 30 } });

/** A hub that fails on request. While it fails, the sessions of a connection cannot be ended. */
export class HubObject extends gatehouse.HubObject {
  readonly #revoked = Promise.withResolvers<void>();

  override async revoke(grantId: string): Promise<void> {
    if (Reflect.get(this.env, "HUB_IS_AWAY") === "yes") throw new Error("the hub is unreachable");
    await super.revoke(grantId);
    this.#revoked.resolve();
  }

  countSessions(grantId: string): number {
    const query = "SELECT count(*) AS count FROM session WHERE grant_id = ?";
    return this.ctx.storage.sql.exec<{ count: number }>(query, grantId).one().count;
  }

  /** Counts the sessions of a grant after the hub has revoked a grant of this subject. */
  async countSessionsAfterRevocation(grantId: string): Promise<number> {
    if (this.countSessions(grantId) > 0) await this.#revoked.promise;
    return this.countSessions(grantId);
  }
}
export class SessionObject extends gatehouse.SessionObject {}
export class LedgerObject extends gatehouse.LedgerObject {}
export class WorkspaceObject extends gatehouse.WorkspaceObject {}
export class GrantObject extends gatehouse.GrantObject {}
export class ChangeObject extends gatehouse.ChangeObject {}

export default {
  async fetch(request: Request, env: Env, context: ExecutionContext): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname !== "/sessions" && pathname !== "/sessions-after-revocation")
      return gatehouse.handler.fetch(request, env, context);
    const namespace: unknown = env.HUB;
    const hubs = namespace as DurableObjectNamespace<HubObject>;
    const hub = hubs.get(hubs.idFromName(`subject ${searchParams.get("subject")}`));
    const grantId = searchParams.get("grant") ?? "";
    return Response.json(
      pathname === "/sessions" ? await hub.countSessions(grantId) : await hub.countSessionsAfterRevocation(grantId),
    );
  },
};
