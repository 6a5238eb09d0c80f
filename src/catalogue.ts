// Written by `npm run introspect`, which writes it anew: the sources that it has read, with a role for each and somebody to
// begin with. Write roles and people of your own in gatehouse.config.ts.
import type { GatehouseInput } from "./config.ts";

export const sources: GatehouseInput["sources"] = {};

export const roles: GatehouseInput["roles"] = {};

export const members: GatehouseInput["members"] = [];
