// The policy of a new deployment: no sources, no roles and no members.
import { defineGatehouse } from "../../../src/config/define-gatehouse.ts";

export default defineGatehouse({
  organisation: { name: "Newcomers Ltd", contact: "it@newcomers.example" },
  sources: {},
  roles: {},
  members: [],
});
