// Writes docs/tour.md from a real session with the sample: the words are here, every answer is what the server says.
import { explain } from "../../../scripts/policy/explain.ts";
import sample from "../../../sample/gatehouse.config.ts";
import type { TestClient } from "./clients.ts";

export interface Guests {
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
const ORDERS_IN_TEXT = "SELECT id, body FROM tickets WHERE body LIKE '%assistant:%' ORDER BY id";

/** The whole page. Results are named r1, r2, … in the order of the page, whatever the accounts kept before. */
export async function writeTour({ analyst, support, guest }: Guests): Promise<string> {
  const ada = createSession(analyst);
  const sol = createSession(support);
  const gil = createSession(guest);
  const [customers, tickets] = ["shop.customers", "shop.tickets"];
  const pieces = [
    INTRODUCTION,
    "## Three people, one question\n\n*What data can you see?* Each person's assistant calls `describe`. Ada, an analyst:",
    await ada("describe", {}, ["sources", "saved"]),
    "Sol, of the support desk for the north:",
    await sol("describe", {}, ["sources"]),
    "Gil, who is signed in and has no role:",
    await gil("describe", {}, ["sources", "hint"]),
    "## A figure\n\n*Which product category earned most in the second quarter of 2026, and how many orders was that?* Ada's assistant writes SQL:",
    await ada("query", { source: "shop", sql: CATEGORIES, params: ["2026-04-01", "2026-07-01"], limit: 3 }, ROWS),
    "The rows are kept as `r1` for her. The same question from Sol's assistant, who may not see orders:",
    await sol("query", { source: "shop", sql: "SELECT count(*) FROM orders" }, ["error"]),
    "## The same SQL, two people\n\nAda sees all customers, masked:",
    await ada("query", { source: "shop", sql: CUSTOMERS, limit: 2 }, ["columns", "rows", "count", "masked"], false),
    "Sol sees those of the north, in clear, and is told that there are others:",
    await sol("query", { source: "shop", sql: CUSTOMERS, limit: 2 }, ["columns", "rows", "count", "restricted"]),
    "Nobody but the owner sees what staff and customers note about each other. For Ada the column does not exist:",
    await ada("query", { source: "shop", sql: "SELECT notes FROM customers" }, ["error"]),
    "## Two databases\n\n*Which of our best sellers are running out?* Sales are in one database, stock in another. Each query keeps its rows; a third joins them:",
    await ada("query", { source: "shop", sql: SOLD, limit: 1 }, ["result", "count"]),
    await ada("query", { source: "ops", sql: FREE, limit: 1 }, ["result", "count"]),
    await ada("query", { source: "workspace", sql: SCARCE }, ["columns", "rows", "count"]),
    "## Documents\n\n*Who has to approve a refund?*",
    await ada("search", { query: "who approves refunds", limit: 1 }, ["results"]),
    "## Text that gives orders\n\nCustomers write tickets, and some write to your assistant. It gets such text fenced, with a note that it is data:",
    await ada("query", { source: "shop", sql: ORDERS_IN_TEXT, limit: 1 }, ["rows", "untrusted", "note"]),
    "## Why?\n\nThe operator asks the policy file, `npm run policy -- explain support@harbor.example shop.customers email`:",
    fence(explain(sample.policy, "support@harbor.example", customers ?? "", "email").join("\n")),
    "and for tickets:",
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

This is a session with the sample organisation, Harbor Supply, an online retailer, which \`npm start -- --sample\` serves. Every answer below is what the server said: a test
plays the session again and compares. Answers are shortened to the parts that are spoken of. To play it yourself: [README](../README.md#try-it).`;

const CLOSING = `## And then

Each of these calls is in its person's record, with its SQL, tables, rules and number of rows; no answer left before its record was written.
[members.md](members.md) is for the people who ask, [README.md](README.md) leads operators from here, [security.md](security.md) says what holds what.`;

const ROWS = ["columns", "rows", "count", "cut"];

/** Of the objects in a list, what is spoken of. */
const SPOKEN_OF: Readonly<Record<string, readonly string[]>> = {
  sources: ["source", "datasets"],
  saved: ["saved", "params"],
  results: ["id", "title", "snippet"],
};

/** Makes calls and shows them; `keeps: false` for a result that the page does not use. */
function createSession(client: TestClient) {
  /** Ids of results, as they are and as they are shown. */
  const kept: (readonly [real: string, shown: string])[] = [];
  return async (
    tool: string,
    args: Readonly<Record<string, unknown>>,
    parts: readonly string[],
    keeps = true,
  ): Promise<string> => {
    const written = JSON.stringify(args);
    const real = renamed(
      written,
      kept.map(([id, shown]) => [shown, id]),
    );
    const { structured } = await client.call(tool, JSON.parse(real));
    if (typeof structured !== "object" || structured === null) throw new Error(`${tool} ${real} gave nothing`);
    const id: unknown = Reflect.get(structured, "result");
    if (keeps && typeof id === "string") kept.push([id, `r${kept.length + 1}`]);
    const found = parts.filter((part) => part in structured);
    if (found.length === 0) throw new Error(`${tool} ${real} gave ${JSON.stringify(structured)}`);
    const answer = renamed(found.map((part) => line(part, Reflect.get(structured, part))).join("\n"), kept);
    return fence(`${tool} ${written.replaceAll("\\n", "\n  ")}\n\n${answer}`);
  };
}

/** Puts other names for all of them at once, as r2 may be r3 and r3 r4. */
function renamed(text: string, names: readonly (readonly [from: string, to: string])[]): string {
  const map = new Map(names);
  return text.replaceAll(/\br\d+\b/g, (id) => map.get(id) ?? id);
}

/** One part of an answer: the rows of a list one by one, everything else in one line. */
function line(part: string, value: unknown): string {
  const isList = Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === "object");
  if (!isList) return `${part}: ${JSON.stringify(value)}`;
  const spoken = SPOKEN_OF[part];
  return [`${part}:`, ...value.map((one) => `  ${JSON.stringify(one, spoken && [...spoken])}`)].join("\n");
}

function fence(text: string): string {
  return `\`\`\`text\n${text}\n\`\`\``;
}
