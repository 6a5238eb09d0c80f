// The entry of the sample organisation's Worker, which `npm start` serves until the policy file has sources. It is never deployed.
import { createGatehouse } from "../src/app/create-gatehouse.ts";
import config from "./gatehouse.config.ts";

const gatehouse = createGatehouse(config);

export class SessionObject extends gatehouse.SessionObject {}
export class HubObject extends gatehouse.HubObject {}
export class LedgerObject extends gatehouse.LedgerObject {}
export class WorkspaceObject extends gatehouse.WorkspaceObject {}
export class GrantObject extends gatehouse.GrantObject {}
export class ChangeObject extends gatehouse.ChangeObject {}
export default gatehouse.handler;
