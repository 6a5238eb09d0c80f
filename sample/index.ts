// The sample organisation's entry: what `npm start` serves until there are sources of one's own. Never deployed.
import { createGatehouse } from "../src/gatehouse.ts";
import config from "./gatehouse.config.ts";

const gatehouse = createGatehouse(config);

export class SessionObject extends gatehouse.SessionObject {}
export class HubObject extends gatehouse.HubObject {}
export class LedgerObject extends gatehouse.LedgerObject {}
export class WorkspaceObject extends gatehouse.WorkspaceObject {}
export class GrantObject extends gatehouse.GrantObject {}
export default gatehouse.handler;
