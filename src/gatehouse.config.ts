// The policy file of this deployment. Edit it: declare your sources, the roles with their rules, and the members.
// `sample/gatehouse.config.ts` is a complete example, and `docs/configuration.md` explains every key.
import * as introspected from "./introspected-schema.ts";
import { defineGatehouse } from "./config/define-gatehouse.ts";

export default defineGatehouse({
  organisation: { name: "Your organisation", contact: "The administrator of this server" },
  // What `npm run introspect` wrote. Add your own declarations after it.
  sources: { ...introspected.sources },
  roles: { ...introspected.roles },
  members: [...introspected.members],
});
