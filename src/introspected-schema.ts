// Written by `npm run introspect`, which overwrites it: the introspected sources, a role that reads each, and a first member.
// Declare your own roles and members in gatehouse.config.ts.
import type { GatehouseInput } from "./config/define-gatehouse.ts";

export const sources: GatehouseInput["sources"] = {};

export const roles: GatehouseInput["roles"] = {};

export const members: GatehouseInput["members"] = [];
