// The entry of the benchmarked product. Only the policy differs from a deployment.
import { createGatehouse } from "../../../src/app/create-gatehouse.ts";
import config from "./policy.ts";

const gatehouse = createGatehouse(config);

export class SessionObject extends gatehouse.SessionObject {}
export class HubObject extends gatehouse.HubObject {}
export class LedgerObject extends gatehouse.LedgerObject {}
export class WorkspaceObject extends gatehouse.WorkspaceObject {}
export class GrantObject extends gatehouse.GrantObject {}
export class ChangeObject extends gatehouse.ChangeObject {}
export default gatehouse.handler;
