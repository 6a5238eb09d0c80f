// Spans in the platform's trace, against the sample's Worker in workerd with a Worker that receives its trace.
import { describe, expect, it } from "vitest";
import { SPAN_NAMES } from "../../src/lib/spans.ts";
import { tokensFor } from "../support/oauth.ts";
import { useTracedServer } from "../support/node/trace-server.ts";
import type { TraceEvent } from "../support/node/trace-server.ts";
import { queryShop } from "../support/node/query.ts";

const server = useTracedServer();
const ADDRESS = "ada.secret@customer.example";
const SQL = `SELECT count(*) AS n FROM customers WHERE name = '${ADDRESS}'`;
const CLIENT_TRACE = "0af7651916cd43dd8448eb211c80319c";

const isOurs = ({ event }: TraceEvent): boolean => event.name?.startsWith("gatehouse.") === true;

/** Lists the spans of one trace that Gatehouse made: each with the names of those around it, from the outermost. */
function listSpans(traceId: string): readonly (readonly string[])[] {
  const opened = server().events.filter(
    ({ event, spanContext }) => event.type === "spanOpen" && spanContext.traceId === traceId,
  );
  const parents = new Map(opened.map((open) => [open.event.spanId, open]));
  const nameAll = (open: TraceEvent | undefined): readonly string[] =>
    open === undefined
      ? []
      : [...nameAll(parents.get(open.spanContext.spanId)), ...(isOurs(open) ? [open.event.name ?? ""] : [])];
  return opened.filter(isOurs).map(nameAll);
}

/** Returns the attributes of the spans that Gatehouse made in one trace, by the name of the span. */
function readAttributes(traceId: string): Readonly<Record<string, readonly unknown[]>> {
  const events = server().events.filter(({ spanContext }) => spanContext.traceId === traceId);
  const names = new Map(events.filter(isOurs).map(({ event }) => [event.spanId, event.name ?? ""]));
  const attributes: Record<string, unknown[]> = {};
  for (const { event, spanContext } of events) {
    const name = names.get(spanContext.spanId);
    if (event.type === "attributes" && name !== undefined) (attributes[name] ??= []).push(event.info);
  }
  return attributes;
}

/** Sends a query and returns the last line of its call in the log, once its trace is complete. */
async function runQuery(sql: string, meta: Readonly<Record<string, unknown>> = {}): Promise<Record<string, unknown>> {
  const { origin, log, events } = server();
  const { accessToken } = await tokensFor({ origin, send: fetch }, "analyst@harbor.example");
  const logged = log.length;
  await queryShop(origin, accessToken, sql, meta);
  const findEnd = (): string | undefined => log.slice(logged).find((line) => line.startsWith('{"event":"call_end"'));
  await server().until(() => findEnd() !== undefined);
  const end: Record<string, unknown> = JSON.parse(findEnd() ?? "");
  await server().until(() => {
    const opened = events.find(
      ({ event, spanContext }) => spanContext.traceId === end["trace"] && event.name === "gatehouse.call",
    );
    return events.some(
      ({ event, spanContext }) => event.type === "spanClose" && spanContext.spanId === opened?.event.spanId,
    );
  });
  return end;
}

describe("the trace of a query", () => {
  it("has spans from the call through guard and batch to the ledger, with ids and counts only", async () => {
    const { call, trace } = await runQuery(SQL);
    expect(trace).toMatch(/^[0-9a-f]{32}$/);
    const spans = listSpans(String(trace));
    expect(spans).toEqual([
      ["gatehouse.call"],
      ["gatehouse.call", "gatehouse.ledger.begin"],
      ["gatehouse.call", "gatehouse.guard"],
      ["gatehouse.call", "gatehouse.guard", "gatehouse.source.batch"],
      ["gatehouse.call", "gatehouse.ledger.commit"],
    ]);
    expect(new Set(spans.flat())).toEqual(new Set(SPAN_NAMES));
    const attributes = readAttributes(String(trace));
    const text = JSON.stringify(attributes);
    expect(text).toContain(String(call));
    expect(JSON.stringify(attributes["gatehouse.source.batch"])).toContain('{"name":"rows","value":1}');
    for (const secret of [ADDRESS, "customers", "count(", "analyst@harbor.example"]) expect(text).not.toContain(secret);
  });

  it("ends each span with the code of the error, and not with its message, when the query is refused", async () => {
    const { trace, outcome } = await runQuery(`SELECT '${ADDRESS}' FROM no_such_table`);
    expect(outcome).toBe("query_failed");
    const text = JSON.stringify(readAttributes(String(trace)));
    expect(text).toContain('{"name":"outcome","value":"query_failed"}');
    expect(text).not.toMatch(/no_such_table|ada\.secret/);
  });

  it("is named in the log of calls beside the trace that the client sent", async () => {
    const traceparent = `00-${CLIENT_TRACE}-b7ad6b7169203331-01`;
    const { trace, clientTrace } = await runQuery("SELECT 1 AS n", { traceparent, tracestate: `v=${ADDRESS}` });
    expect(clientTrace).toBe(CLIENT_TRACE);
    expect(trace).not.toBe(CLIENT_TRACE);
    expect(server().log.join("\n")).not.toContain("ada.secret");
    expect((await runQuery("SELECT 1 AS n", { traceparent: traceparent.toUpperCase() }))["clientTrace"]).toBeNull();
  });
});

describe("the platform's own spans", () => {
  // This is why wrangler.jsonc leaves traces off: they hold what users wrote into their SQL.
  it("have the SQL of a query", async () => {
    const { trace } = await runQuery(SQL);
    const isOfQuery = ({ event, spanContext }: TraceEvent): boolean =>
      event.type === "attributes" && spanContext.traceId === trace && JSON.stringify(event.info).includes(ADDRESS);
    await server().until(() => server().events.some(isOfQuery));
    expect(
      server()
        .events.filter(isOfQuery)
        .every((event) => JSON.stringify(event).includes("db.query.text")),
    ).toBe(true);
  });
});
