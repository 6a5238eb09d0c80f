// The product with the sample's policy, a grace short enough to be waited for, and a hub that can be out of reach: what the grant
// store does over real storage when the process is killed.
import sample from "../../sample/gatehouse.config.ts";
import { createGatehouse } from "../../src/gatehouse.ts";

const gatehouse = createGatehouse({ ...sample, limits: { ...sample.limits, refreshGraceSeconds: 30 } });

/** While it is out of reach, nothing that a connection holds can be ended. */
export class HubObject extends gatehouse.HubObject {
  readonly #revoked = Promise.withResolvers<void>();

  override async revoke(grantId: string): Promise<void> {
    if (Reflect.get(this.env, "HUB_IS_AWAY") === "yes") throw new Error("the hub is out of reach");
    await super.revoke(grantId);
    this.#revoked.resolve();
  }

  sessions(grantId: string): number {
    const query = "SELECT count(*) AS held FROM session WHERE grant_id = ?";
    return this.ctx.storage.sql.exec<{ held: number }>(query, grantId).one().held;
  }

  /** The sessions of a grant, once a grant of this subject was ended. */
  async sessionsLeft(grantId: string): Promise<number> {
    if (this.sessions(grantId) > 0) await this.#revoked.promise;
    return this.sessions(grantId);
  }
}
export class SessionObject extends gatehouse.SessionObject {}
export class LedgerObject extends gatehouse.LedgerObject {}
export class WorkspaceObject extends gatehouse.WorkspaceObject {}
export class GrantObject extends gatehouse.GrantObject {}

export default {
  async fetch(request: Request, env: Env, context: ExecutionContext): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname !== "/held" && pathname !== "/left") return gatehouse.handler.fetch(request, env, context);
    const namespace: unknown = env.HUB;
    const hubs = namespace as DurableObjectNamespace<HubObject>;
    const hub = hubs.get(hubs.idFromName(`subject ${searchParams.get("subject")}`));
    const grantId = searchParams.get("grant") ?? "";
    return Response.json(pathname === "/held" ? await hub.sessions(grantId) : await hub.sessionsLeft(grantId));
  },
};
