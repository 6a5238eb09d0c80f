// A deployment as it is when it has just been made: no source, no way to sign in.
import { defineGatehouse } from "../../../src/config.ts";

export default defineGatehouse({
  organisation: { name: "Newcomers Ltd", contact: "it@newcomers.example" },
  sources: {},
  roles: {},
  members: [],
});
