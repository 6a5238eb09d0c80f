// The policy of the search benchmark: one source of documents and one user who reads it.
import { defineGatehouse } from "../../../src/config/define-gatehouse.ts";

export const PERSON = "reader@harbor.example";

export default defineGatehouse({
  organisation: { name: "Bench", contact: "Bench" },
  limits: { rowsPerDay: 1_000_000_000, maxAuditBytes: 1_000_000_000 },
  sources: { library: { kind: "kv", binding: "LIBRARY", title: "Library", description: "Documents" } },
  roles: { reader: { description: "Reads all", rules: [{ action: "read", datasets: ["library"] }] } },
  members: [{ email: PERSON, name: "Reader", roles: ["reader"] }],
});
