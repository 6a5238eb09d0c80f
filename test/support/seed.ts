// Fills the shop with a few known rows. They contain planted secrets, so that tests can recognise a leak.
import { env } from "cloudflare:workers";

/** Texts that occur only in places that the tested accounts must not see. */
export const SECRETS = {
  northEmail: "nora.secret@north.example",
  southEmail: "sid.secret@south.example",
  note: "planted-note-4711",
  southName: "Sid Southerner",
  southTicket: "planted-south-ticket-0815",
} as const;

const STATEMENTS = [
  `INSERT INTO customers VALUES (1, 'Nora North', '${SECRETS.northEmail}', '+49 150 1234567', '1980-05-17',
    'Quay Street 1, 11111 Skarrvik', 'north', 'consumer', '2024-01-01 10:00:00', '${SECRETS.note}')`,
  `INSERT INTO customers VALUES (2, '${SECRETS.southName}', '${SECRETS.southEmail}', '+49 150 7654321', '1990-06-18',
    'Rope Walk 2, 22222 Marisola', 'south', 'trade', '2024-02-01 10:00:00', '${SECRETS.note}')`,
  "INSERT INTO customers VALUES (3, 'Nils North', 'nils@north.example', NULL, NULL, NULL, 'north', 'marina', '2024-03-01 10:00:00', NULL)",
  "INSERT INTO products VALUES (1, 'ROP-1', 'Mooring rope', 'ropes', 1990, 1), (2, 'ANC-1', 'Anchor', 'anchors', 9990, 1)",
  `INSERT INTO orders VALUES (1, 1, 'delivered', '2026-01-01 10:00:00', 1990),
    (2, 2, 'delivered', '2026-02-01 10:00:00', 9990), (3, 3, 'placed', '2026-06-01 10:00:00', 3980)`,
  "INSERT INTO order_items VALUES (1, 1, 1, 1, 1990), (2, 2, 2, 1, 9990), (3, 3, 1, 2, 1990)",
  "INSERT INTO tickets VALUES (1, 1, 1, 'north', 'Where is it?', 'Please tell me.', 'open', 'normal', '2026-06-01 10:00:00', NULL)",
  `INSERT INTO tickets VALUES (2, 2, 2, 'south', 'Broken', '${SECRETS.southTicket}', 'open', 'high', '2026-06-02 10:00:00', NULL)`,
  "INSERT INTO refunds VALUES (1, 2, 500, 'late', 'requested', '2026-06-03 10:00:00')",
];

/** Inserts the rows and two handbook documents. */
export async function seedShop(): Promise<void> {
  await env.SHOP_DB.batch(STATEMENTS.map((statement) => env.SHOP_DB.prepare(statement)));
  await env.OPS_DB.prepare("INSERT INTO warehouses VALUES (1, 'N1', 'Skarrvik', 'north', 100)").run();
  await env.HANDBOOK.put("policies/returns.md", "# Returns\n\nGoods can be returned within 30 days.");
  await env.HANDBOOK.put("products/anchors.md", "# Anchors\n\nChoose the weight by the length of the boat.");
}
