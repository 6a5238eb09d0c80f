// What this deployment serves. Edit this file: declare your sources, give roles their rules, name the people.
// `sample/gatehouse.config.ts` is a complete example; `docs/configuration.md` names every key.
import * as catalogue from "./catalogue.ts";
import { defineGatehouse } from "./config.ts";

export default defineGatehouse({
  organisation: { name: "Your organisation", contact: "Whoever set up this server" },
  // What `npm run introspect` has read; add your own behind it.
  sources: { ...catalogue.sources },
  roles: { ...catalogue.roles },
  members: [...catalogue.members],
});
