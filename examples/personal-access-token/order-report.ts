// Prints the number of orders by status. A scheduler runs it with a personal access token, without a user at a browser:
// GATEHOUSE_URL=https://gatehouse.example.com GATEHOUSE_TOKEN=gth_… node order-report.ts
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import * as z from "zod";

const { GATEHOUSE_URL: origin = "http://localhost:8787", GATEHOUSE_TOKEN: personalAccessToken } = process.env;
if (personalAccessToken === undefined) throw new Error("Set GATEHOUSE_TOKEN to a personal access token.");

const client = new Client({ name: "order-report", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } });
const authProvider = { token: async () => personalAccessToken };
await client.connect(new StreamableHTTPClientTransport(new URL("/mcp", origin), { authProvider }));

const sql = "SELECT status, count(*) FROM orders GROUP BY status ORDER BY status";
const answer = await client.callTool({ name: "query", arguments: { source: "shop", sql } });
await client.close();

const [block] = answer.content;
if (answer.isError === true) throw new Error(block?.type === "text" ? block.text : "The call failed.");
const { rows } = z.object({ rows: z.array(z.tuple([z.string(), z.number()])) }).parse(answer.structuredContent);
for (const [status, orders] of rows) console.log(`${status}: ${orders}`);
