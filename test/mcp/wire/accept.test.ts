// The Accept headers that clients send. In both eras a request is refused only when the client can read no form of the answer.
import { beforeAll, describe, expect, it } from "vitest";
import { newId } from "../../../src/lib/ids.ts";
import { isAccepted } from "../../../src/mcp/wire/accept.ts";
import { ledgerOf, subjectIdOf } from "../../support/members.ts";
import { readJson } from "../../support/oauth.ts";
import { seedShop } from "../../support/seed.ts";
import { ACCEPT, RESOURCE, initialize, openSession, post, post2026, send, tokenOf } from "../../support/worker.ts";

const JSON_TYPE = "application/json";
const STREAM_TYPE = "text/event-stream";
const list = { jsonrpc: "2.0", id: 2, method: "tools/list" };

let token = "";
let session = "";

beforeAll(async () => {
  await seedShop();
  token = await tokenOf("analyst");
  session = await openSession(token);
});

const READS_JSON: readonly (readonly [string, string | undefined])[] = [
  ["no Accept", undefined],
  ["an empty Accept", ""],
  ["*/*", "*/*"],
  ["*/* with a weight", "*/*;q=0.1"],
  ["application/json alone", "application/json"],
  ["a media type in capitals", "APPLICATION/JSON, Text/Event-Stream"],
  ["application/*", "application/*"],
  ["application/json with parameters", 'application/json; charset="utf-8"; q=0.9'],
  ["spaces and tabs around everything", " text/event-stream ;\tq=1 ,\tapplication/json ; Q=0.5 "],
  ["*/* without event streams", "text/event-stream;q=0, */*"],
  ["both types, as the specification asks", ACCEPT],
];

describe("POST", () => {
  it.each(READS_JSON)("is answered with JSON in both eras when it has %s", async (_what, accept) => {
    const opened = await post(token, initialize(), { accept });
    expect(opened.status).toBe(200);
    expect(opened.headers.get("content-type")).toContain(JSON_TYPE);
    const listed = await post(token, list, { accept, "mcp-session-id": session });
    expect(await readJson(listed)).toMatchObject({
      id: 2,
      result: { tools: [{ name: "search" }, {}, {}, {}, {}, {}] },
    });
    expect((await post2026(token, "tools/list", {}, { accept })).status).toBe(200);
  });

  it.each([
    ["only event streams", STREAM_TYPE],
    ["only pages", "text/html, image/*"],
    ["another JSON type", "application/ld+json"],
    ["a type that begins like JSON", "application/jsonp"],
    ["JSON with the weight 0", `application/json;q=0, ${STREAM_TYPE}`],
    ["JSON with the weight 0.000, beside */*", "*/*, application/json;q=0.000"],
    ["JSON inside a parameter of another type", 'text/html;x="a, application/json, b"'],
  ])("is answered with 406 in the 2025 era when its Accept has %s", async (_what, accept) => {
    const response = await post(token, list, { accept, "mcp-session-id": session });
    expect(response.status).toBe(406);
    expect(await response.json()).toMatchObject({ error: { message: expect.stringContaining(JSON_TYPE) } });
  });
});

describe("GET", () => {
  const get = async (accept: string | undefined): Promise<number> => {
    const headers = { authorization: `Bearer ${token}`, "mcp-session-id": session };
    const controller = new AbortController();
    const response = await send(RESOURCE, {
      headers: accept === undefined ? headers : { ...headers, accept },
      signal: controller.signal,
    });
    await response.body?.cancel();
    return response.status;
  };

  it.each([undefined, "*/*", "text/*", "Text/Event-Stream", "text/event-stream;q=0.5"])(
    "opens a stream when Accept is %j",
    async (accept) => {
      session = await openSession(token);
      expect(await get(accept)).toBe(200);
    },
  );

  it.each(["application/json", "text/html", "text/event-stream;q=0", "*/*, text/*;q=0"])(
    "answers 406 when Accept is %j",
    async (accept) => {
      expect(await get(accept)).toBe(406);
    },
  );
});

describe("a long call", () => {
  const query = (id: number) => ({
    jsonrpc: "2.0",
    id,
    method: "tools/call",
    params: { name: "query", arguments: { source: "shop", sql: `SELECT ${id} AS id` } },
  });

  it.each([JSON_TYPE, "application/*", "*/*", undefined, "*/*, text/event-stream;q=0"])(
    "is answered with JSON when Accept is %j",
    async (accept) => {
      const id = await openSession(token);
      const subjectId = await subjectIdOf("analyst@harbor.example");
      const holder = { call: newId(), subjectId, owner: null, clientId: "c", operation: "hold", asked: "" };
      const ledger = ledgerOf(subjectId);
      await ledger.begin(holder, { subjectId, email: "analyst@harbor.example", groups: [] }, 0, "shop");
      const waiting = post(token, query(11), { accept, "mcp-session-id": id });
      // Sent second, so when it has become a stream, the first call has had time to become one too.
      const streamed = await post(token, query(12), { "mcp-session-id": id });
      expect(streamed.headers.get("content-type")).toBe(STREAM_TYPE);
      await ledger.release(holder.call);
      const response = await waiting;
      expect(response.headers.get("content-type")).toContain(JSON_TYPE);
      expect(await response.text()).toContain('"rows":[[11]]');
      expect(await streamed.text()).toContain("[[12]]");
    },
  );
});

describe("isAccepted", () => {
  it.each([
    ["text/*;q=0, text/event-stream", STREAM_TYPE, true],
    ["text/event-stream, text/*;q=0", STREAM_TYPE, true],
    ["*/*;q=0", JSON_TYPE, false],
    ["*/*;q=0, application/*", JSON_TYPE, true],
    ["application/json;q=2", JSON_TYPE, true],
    ["application/json;q=", JSON_TYPE, true],
    ["json", JSON_TYPE, false],
    [", ,", JSON_TYPE, true],
    ["*", JSON_TYPE, false],
    [`application/json;x="${"\\".repeat(5000)}`, JSON_TYPE, true],
  ])("evaluates %j for %s as %s by the most specific range", (header, type, expected) => {
    expect(isAccepted(header, type)).toBe(expected);
  });
});
