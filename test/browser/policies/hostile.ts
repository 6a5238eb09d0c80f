// A policy in which every text tries to become markup, as if an attacker could write all of them.
import { defineGatehouse } from "../../../src/config/define-gatehouse.ts";

/** Builds a text that closes the surrounding markup and then tries to run scripts. `where` names the text. */
export const attack = (where: string): string =>
  `${where}'"></title></style></textarea><script>alert("${where}")</script><img src=x onerror="alert('${where}')">`;

export default defineGatehouse({
  organisation: { name: attack("organisation"), contact: attack("contact") },
  sources: {
    shop: {
      kind: "d1",
      binding: "SHOP_DB",
      title: attack("source"),
      description: attack("source description"),
      tables: {
        tickets: {
          description: attack("table"),
          key: "id",
          columns: {
            id: { type: "integer", description: attack("column") },
            status: { type: "text", description: attack("column") },
          },
        },
      },
    },
    handbook: { kind: "kv", binding: "HANDBOOK", title: attack("documents"), description: attack("documents") },
  },
  roles: {
    reader: {
      description: attack("role"),
      rules: [{ action: "read", datasets: ["shop.tickets", "handbook"] }],
    },
  },
  members: [
    { email: "mallory@evil.example", name: attack("member"), roles: ["reader"] },
    { email: "nobody@evil.example", name: attack("nobody"), roles: [] },
  ],
});
