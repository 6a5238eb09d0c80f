// The product with the sample's policy and without its limits of calls and rows: the test that kills the server makes in minutes more calls
// than a user does in days, and a killed call counts as all the rows that it may have read.
import sample from "../../sample/gatehouse.config.ts";
import { createGatehouse } from "../../src/app/create-gatehouse.ts";

const MANY = 1_000_000_000;
const limits = {
  ...sample.limits,
  rowsPerDay: MANY,
  rowsPerBurst: MANY,
  bytesPerDay: MANY,
  bytesPerBurst: MANY,
  callsPerDay: MANY,
  callsPerBurst: MANY,
};
const gatehouse = createGatehouse({ ...sample, limits });

export class SessionObject extends gatehouse.SessionObject {}
export class HubObject extends gatehouse.HubObject {}
export class LedgerObject extends gatehouse.LedgerObject {}
export class WorkspaceObject extends gatehouse.WorkspaceObject {}
export class GrantObject extends gatehouse.GrantObject {}
export class ChangeObject extends gatehouse.ChangeObject {}
export default gatehouse.handler;
