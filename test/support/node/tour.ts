// Writes docs/tour.md from a real session with the sample. This file contains the prose; every answer in the page is the server's.
import { explain } from "../../../cli/policy-report/explain.ts";
import sample from "../../../sample/gatehouse.config.ts";
import { formatAnswerPart } from "../answer-text.ts";
import type { TestClient } from "./clients.ts";

/** Connected clients of three sample accounts. */
interface Guests {
  readonly analyst: TestClient;
  readonly support: TestClient;
  readonly guest: TestClient;
}

const CATEGORIES = `SELECT p.category, count(DISTINCT o.id) AS orders, sum(i.quantity * i.unit_price_cents) AS cents
FROM orders o JOIN order_items i ON i.order_id = o.id JOIN products p ON p.id = i.product_id
WHERE o.placed_at >= ? AND o.placed_at < ? AND o.status <> 'cancelled'
GROUP BY p.category ORDER BY cents DESC`;
const CUSTOMERS = "SELECT id, name, email, phone, birth_date FROM customers ORDER BY id";
const SOLD = `SELECT p.sku, p.name, sum(i.quantity) AS sold
FROM products p JOIN order_items i ON i.product_id = p.id GROUP BY p.id`;
const FREE = "SELECT sku, sum(on_hand - reserved) AS free FROM stock GROUP BY sku";
const SCARCE = "SELECT name, sold, free FROM r2 JOIN r3 USING (sku) WHERE free < 100 ORDER BY sold DESC LIMIT 3";
const PRODUCTS = "SELECT id, sku, price_cents / 100.0 AS price FROM products";
const MARGINS = `SELECT sku, price, "price (EUR, net)" AS paid, round(price - "price (EUR, net)", 2) AS margin
FROM r5 JOIN r6 ON r6.id = r5.product_id WHERE paid > 10 ORDER BY margin DESC LIMIT 3`;
const BORN_BEFORE = "SELECT count(*) FROM customers WHERE birth_date < '1970-01-01'";
const ORDERS_IN_TEXT = "SELECT id, body FROM tickets WHERE body LIKE '%assistant:%' ORDER BY id";

const OPEN_TICKETS = "SELECT id, subject FROM tickets WHERE status = 'open' AND priority = 'high' ORDER BY id DESC";
const CLOSE_TICKET = {
  dataset: "shop.tickets",
  action: "update",
  where: { id: 1199 },
  values: { status: "closed" },
  reason: "Sol has sent the label.",
};

/** Builds the page. It numbers results r1, r2, … in the order of the page, whatever results the accounts stored before. */
export async function writeTour({ analyst, support, guest }: Guests): Promise<string> {
  const ada = createSession(analyst);
  const sol = createSession(support);
  const gil = createSession(guest);
  const [customers, tickets] = ["shop.customers", "shop.tickets"];
  const pieces = [
    INTRODUCTION,
    "## Three users, one question\n\n*What data can you see?* Each user's assistant calls `describe`. Ada, an analyst:",
    await ada("describe", {}, ["sources", "saved"]),
    "Sol, from the support desk for the region north:",
    await sol("describe", {}, ["sources"]),
    "Gil, who is signed in and has no role:",
    await gil("describe", {}, ["sources", "hint"]),
    "## A figure",
    "*Which product category earned most in the second quarter of 2026, and how many orders was that?* Ada's assistant writes SQL:",
    await ada("query", { source: "shop", sql: CATEGORIES, params: ["2026-04-01", "2026-07-01"], limit: 3 }, ROWS),
    "The rows are stored for her as `r1`. Sol's assistant asks the same question, but Sol may not see orders:",
    await sol("query", { source: "shop", sql: "SELECT count(*) FROM orders" }, ["error"]),
    "## The same SQL, two users\n\nAda sees all customers, masked:",
    await ada("query", { source: "shop", sql: CUSTOMERS, limit: 2 }, ["columns", "rows", "count", "masked"], false),
    "Sol sees the customers of the region north, unmasked, and the answer says that there are others:",
    await sol("query", { source: "shop", sql: CUSTOMERS, limit: 2 }, ["columns", "rows", "count", "restricted"]),
    "Only the owner sees the notes that staff and customers write. For Ada the column does not exist:",
    await ada("query", { source: "shop", sql: "SELECT notes FROM customers" }, ["error"]),
    "## Two databases",
    [
      "*Which of our best sellers are running out?* Sales are in one database, stock in another.",
      "Each query stores its rows, and a third query joins them:",
    ].join("\n"),
    await ada("query", { source: "shop", sql: SOLD, limit: 1 }, ["result", "count"]),
    await ada("query", { source: "ops", sql: FREE, limit: 1 }, ["result", "count"]),
    await ada("query", { source: "workspace", sql: SCARCE }, ["columns", "rows", "count"]),
    "## Documents\n\n*Who has to approve a refund?*",
    await ada("search", { query: "who approves refunds", limit: 1 }, ["results"]),
    "## A file as a table",
    [
      "Suppliers send prices as CSV, here with decimal commas and gaps.",
      "`fetch` stores such a document as a result, with numbers as numbers, and a query joins it to the products:",
    ].join("\n"),
    await ada("fetch", { id: "handbook/products/supplier-prices.csv" }, ["metadata"]),
    await ada("query", { source: "shop", sql: PRODUCTS, limit: 1 }, ["result", "count"]),
    await ada("query", { source: "workspace", sql: MARGINS }, ["columns", "rows", "count"]),
    "## Masked values in a condition",
    "A masked value keeps its type, so conditions work, and the answer says how exact they are:",
    await ada("query", { source: "shop", sql: BORN_BEFORE }, ["rows", "masked", "inexact"]),
    "## Text with instructions",
    "Customers write tickets, and some of them address your assistant. It gets such text fenced, with a note that it is data:",
    await ada("query", { source: "shop", sql: ORDERS_IN_TEXT, limit: 1 }, ["rows", "untrusted", "note"]),
    "## A change\n\n*Close the ticket about the return label.* Sol's assistant proposes it, and cannot approve it:",
    await sol("query", { source: "shop", sql: OPEN_TICKETS, limit: 1 }, ["rows"]),
    await sol("change", CLOSE_TICKET, ["state", "rows", "note"]),
    "Sol opens the page, sees the ticket before and after, and approves. [changes.md](changes.md) goes on to the undo.",
    "## Why?\n\nThe operator runs `npm run policy -- explain support@harbor.example shop.customers email`:",
    fence(explain(sample.policy, "support@harbor.example", customers ?? "", "email").join("\n")),
    "And for tickets:",
    fence(
      explain(sample.policy, "support@harbor.example", tickets ?? "", undefined)
        .slice(0, 3)
        .join("\n"),
    ),
    CLOSING,
  ];
  return `${pieces.join("\n\n")}\n`;
}

const INTRODUCTION = `# A tour in two minutes

This is a session with the sample organisation, Harbor Supply, an online retailer, which \`npm start -- --sample\` serves.
Every answer below is the server's: a test replays the session and compares.
Answers are shortened to the parts that the text mentions.
To replay the session yourself, see the [README](../README.md#try-it).`;

const CLOSING = `## Next

The audit record of each user contains these calls, with their SQL, tables, rules and numbers of rows.
No answer was sent before its audit record was written.
[members.md](members.md) is for users, and [README.md](README.md) is the operators' index.
[security.md](security.md) explains the defences.`;

const ROWS = ["columns", "rows", "count", "cut"];

/** The properties to show of the objects in a list. */
const SHOWN_PROPERTIES: Readonly<Record<string, readonly string[]>> = {
  sources: ["source", "datasets"],
  saved: ["saved", "params"],
  results: ["id", "title", "snippet"],
};

/** Returns a function that makes a call and formats it. `isNumbered` is false for a result that the page does not use again. */
function createSession(client: TestClient) {
  /** Ids of results, as the server and as the page names them. */
  const results: (readonly [real: string, shown: string])[] = [];
  return async (
    tool: string,
    args: Readonly<Record<string, unknown>>,
    parts: readonly string[],
    isNumbered = true,
  ): Promise<string> => {
    const shownArgs = JSON.stringify(args);
    const realArgs = renameResults(
      shownArgs,
      results.map(([id, shown]) => [shown, id]),
    );
    const { structured } = await client.call(tool, JSON.parse(realArgs));
    if (typeof structured !== "object" || structured === null) throw new Error(`${tool} ${realArgs} returned nothing`);
    // fetch names the result of a document that is a table in its metadata.
    const id: unknown = Reflect.get(Object(Reflect.get(structured, "metadata") ?? structured), "result");
    if (isNumbered && typeof id === "string") results.push([id, `r${results.length + 1}`]);
    const present = parts.filter((part) => part in structured);
    if (present.length === 0) throw new Error(`${tool} ${realArgs} returned ${JSON.stringify(structured)}`);
    const answer = renameResults(
      present.map((part) => formatAnswerPart(part, Reflect.get(structured, part), SHOWN_PROPERTIES[part])).join("\n"),
      results,
    );
    return fence(`${tool} ${shownArgs.replaceAll("\\n", "\n  ")}\n\n${answer}`);
  };
}

/** Replaces all names at once, because r2 may become r3 while r3 becomes r4. */
function renameResults(text: string, names: readonly (readonly [from: string, to: string])[]): string {
  const map = new Map(names);
  return text.replaceAll(/\br\d+\b/g, (id) => map.get(id) ?? id);
}

function fence(text: string): string {
  return `\`\`\`text\n${text}\n\`\`\``;
}
