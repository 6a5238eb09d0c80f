// The Worker's entry point: serves this deployment's policy file, and exports the Durable Object classes that wrangler.jsonc binds.
import { createGatehouse } from "./app/create-gatehouse.ts";
import config from "./gatehouse.config.ts";

const gatehouse = createGatehouse(config);

export class SessionObject extends gatehouse.SessionObject {}
export class HubObject extends gatehouse.HubObject {}
export class LedgerObject extends gatehouse.LedgerObject {}
export class WorkspaceObject extends gatehouse.WorkspaceObject {}
export class GrantObject extends gatehouse.GrantObject {}
export class ChangeObject extends gatehouse.ChangeObject {}
export default gatehouse.handler;
