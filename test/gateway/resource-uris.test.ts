// Keys and URIs: each key reads its own object by its id and by its URI, or neither; and resources have the type that they are.
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { allow, buildPolicy, key, NUMBER, TEXT } from "../support/policy-builder.ts";
import { post2026, tokenOf } from "../support/worker.ts";
import { readJson } from "../support/oauth.ts";

const POLICY = buildPolicy({
  tables: { words: { word: key(TEXT), meaning: TEXT }, numbers: { id: key(NUMBER), meaning: TEXT } },
  sources: {
    open: { binding: "HANDBOOK" },
    mail: { binding: "ARCHIVE", untrusted: true },
  },
  roles: { reader: [allow(["open", "mail", "shop.words", "shop.numbers"])] },
});
const READER = callerAs("reader@harbor.example");
const gateway = gatewayFor(POLICY);

/** Document keys that differ only in what parsers of URIs remove, decode or treat as a delimiter. */
const DOCUMENT_KEYS = [
  "b",
  "a/b",
  "a/../b",
  "../b",
  "./b",
  "b/.",
  "b/..",
  "a/./b",
  "a//b",
  "/b",
  "b/",
  "a/%2e%2e/b",
  "%2e%2e",
  "a%2Fb",
  "a%2F..%2Fb",
  "...",
  ".b",
  "b?x=1",
  "b#x",
  "100%",
  "a b",
  "a+b",
  "a&b;c,d",
  "tab\there",
  "line\nbreak",
  "ä",
  "a\u0308",
  "漢字.md",
  "🦀",
  "a\\b",
  "open/b",
  "gatehouse://document/open/b",
  "ä".repeat(256),
];
const ROW_KEYS = ["", "a", "a/b", "a/../b", "../a", "%2F", "100%", "a?b", "a#b", "a b", "ä", "🦀", "r1", "...", "a'b"];

beforeAll(async () => {
  for (const documentKey of DOCUMENT_KEYS) await env.HANDBOOK.put(documentKey, `text of ${documentKey}`);
  await env.ARCHIVE.put("letter.json", '{"a": 1}');
  await env.SHOP_DB.prepare("CREATE TABLE words (word TEXT PRIMARY KEY, meaning TEXT)").run();
  await env.SHOP_DB.prepare("CREATE TABLE numbers (id INTEGER PRIMARY KEY, meaning TEXT)").run();
  for (const word of [...ROW_KEYS, ".", ".."])
    await env.SHOP_DB.prepare("INSERT INTO words VALUES (?, ?)").bind(word, `meaning of ${word}`).run();
  await env.SHOP_DB.prepare(
    "INSERT INTO numbers VALUES (9007199254740993, 'beyond'), (9007199254740992, 'neighbour'), (-9223372036854775808, 'least')",
  ).run();
});

const readCode = async (reading: Promise<unknown>): Promise<unknown> =>
  reading.then(
    () => "found",
    (error: unknown) => Object(error).code,
  );
/** How clients that parse URIs send them. */
const normalize = (uri: string): string => new URL(uri).href;

describe("a document key", () => {
  it.each(DOCUMENT_KEYS)("reads its own document by id and by URI: %j", async (documentKey) => {
    const byId = await gateway.fetch(READER, `open/${documentKey}`, 1);
    expect(byId.text).toBe(`text of ${documentKey}`);
    expect((await gateway.readResource(READER, byId.url)).text).toBe(byId.text);
    expect((await gateway.readResource(READER, normalize(byId.url))).text).toBe(byId.text);
    expect((await gateway.fetch(READER, byId.url, 1)).id).toBe(byId.id);
  });

  it("reads its own document by a URI that a client wrote without escapes", async () => {
    expect((await gateway.readResource(READER, "gatehouse://document/open/a/../b")).text).toBe("text of a/../b");
  });

  it.each(["", ".", ".."])("is refused by id and by URI when no URI can name it: %j", async (documentKey) => {
    expect(await readCode(gateway.fetch(READER, `open/${documentKey}`, 1))).toBe("not_found");
    expect(await readCode(gateway.readResource(READER, `gatehouse://document/open/${documentKey}`))).toBe("not_found");
  });

  it("is listed, found and completed with a URI that reads it", async () => {
    const uris = (await gateway.listResources(READER)).map(({ uri }) => uri).filter((uri) => uri.includes("/open/"));
    const texts = await Promise.all(uris.map(async (uri) => (await gateway.readResource(READER, normalize(uri))).text));
    expect(texts.toSorted()).toEqual(DOCUMENT_KEYS.map((documentKey) => `text of ${documentKey}`).toSorted());
    const { values } = await gateway.complete(READER, { kind: "document", source: "open", prefix: "" });
    const completed = await Promise.all(
      // RFC 6570, reserved expansion: characters of URIs and percent-encoded triplets stay as they are.
      values.map(async (value) => {
        const expanded = value.replace(/%(?![0-9a-f]{2})|[^\w.~:/?#[\]@!$&'()*+,;=%-]/giu, encodeURIComponent);
        return (await gateway.readResource(READER, `gatehouse://document/open/${expanded}`)).text;
      }),
    );
    expect(completed.toSorted()).toEqual(texts.toSorted());
  });

  it("is completed from every part of the suggested value and of the key itself", async () => {
    const suggest = async (prefix: string) =>
      (await gateway.complete(READER, { kind: "document", source: "open", prefix })).values;
    const suggested = (await suggest("")).filter((value) => value.includes("%"));
    expect(suggested).toContain("a%2F..%2Fb");
    for (const value of suggested)
      for (let length = 1; length <= value.length; length += 1)
        expect(await suggest(value.slice(0, length)), value.slice(0, length)).toContain(value);
    expect(await suggest("a/../")).toEqual(["a%2F..%2Fb"]);
    expect(await suggest("a%2f..%2f")).toContain("a%2F..%2Fb");
  });

  it("is completed by its suggested value behind the first thousand keys", async () => {
    const put = (name: string) => env.ARCHIVE.put(name, "{}");
    await Promise.all(Array.from({ length: 1000 }, (_value, index) => put(`a${index}`)));
    await put("z/../50%");
    const prefix = "z%2F..%2F5";
    expect((await gateway.complete(READER, { kind: "document", source: "mail", prefix })).values).toEqual([
      "z%2F..%2F50%25",
    ]);
  });

  it("does not read a row by the URI of a document, or a document by the URI of a row", async () => {
    expect(await readCode(gateway.readResource(READER, "gatehouse://document/shop.words/a"))).toBe("not_found");
    expect(await readCode(gateway.readResource(READER, "gatehouse://document/open%2Fb"))).toBe("not_found");
  });
});

describe("a row key", () => {
  it.each(ROW_KEYS)("reads its own row by id and by URI: %j", async (word) => {
    const byId = await gateway.fetch(READER, `shop.words/${word}`, 1);
    expect(JSON.parse(byId.text)).toMatchObject({ meaning: `meaning of ${word}` });
    expect((await gateway.readResource(READER, byId.url)).text).toBe(byId.text);
    expect((await gateway.readResource(READER, normalize(byId.url))).text).toBe(byId.text);
  });

  it.each([".", ".."])("is refused by id and by URI when clients would change its URI: %j", async (word) => {
    expect(await readCode(gateway.fetch(READER, `shop.words/${word}`, 1))).toBe("not_found");
    expect(await readCode(gateway.readResource(READER, `gatehouse://dataset/shop/words/${word}`))).toBe("not_found");
  });

  it("reads an integer beyond 2^53 exactly", async () => {
    const read = async (id: string) => JSON.parse((await gateway.fetch(READER, `shop.numbers/${id}`, 1)).text).meaning;
    expect(await read("9007199254740993")).toBe("beyond");
    expect(await read("9007199254740992")).toBe("neighbour");
    expect(await read("-9223372036854775808")).toBe("least");
    for (const id of ["9223372036854775808", "09007199254740993", "9007199254740994"])
      expect(await readCode(gateway.fetch(READER, `shop.numbers/${id}`, 1))).toBe("not_found");
  });
});

describe("over the wire", () => {
  const read = async (uri: string) => readJson(await post2026(await tokenOf("owner"), "resources/read", { uri }));

  it("reads the document that a URI with .. names, not the one that a URL parser would read", async () => {
    await env.HANDBOOK.put("w/../x.md", "# Dotted");
    await env.HANDBOOK.put("x.md", "# Plain");
    for (const uri of ["gatehouse://document/handbook/w/../x.md", "gatehouse://document/handbook/w%2F..%2Fx.md"])
      expect(await read(uri)).toMatchObject({
        result: { contents: [{ uri, mimeType: "text/markdown", text: "# Dotted" }] },
      });
  });

  it.each([
    ["gatehouse://document/handbook/t.csv", "text/csv"],
    ["gatehouse://document/handbook/t.TSV", "text/tab-separated-values"],
    ["gatehouse://document/handbook/t.json", "application/json"],
    ["gatehouse://document/handbook/t.jsonl", "application/jsonl"],
    ["gatehouse://document/handbook/t.ndjson", "application/x-ndjson"],
    ["gatehouse://document/handbook/t.md", "text/markdown"],
    ["gatehouse://document/handbook/t.txt", "text/plain"],
    ["gatehouse://document/handbook/t.html", "text/plain"],
    ["gatehouse://document/handbook/constructor", "text/plain"],
  ])("gives %s the type %s in the list and when it is read", async (uri, mimeType) => {
    await env.HANDBOOK.put(uri.slice("gatehouse://document/handbook/".length), "a,b");
    expect(await read(uri)).toMatchObject({ result: { contents: [{ uri, mimeType }] } });
    const listed = await readJson(await post2026(await tokenOf("owner"), "resources/list"));
    expect(Object(listed["result"]).resources).toContainEqual(expect.objectContaining({ uri, mimeType }));
  });

  it("declares no type for documents in the template", async () => {
    const { result } = await readJson(await post2026(await tokenOf("owner"), "resources/templates/list"));
    const templates: readonly { name: string }[] = Object(result).resourceTemplates;
    expect(templates.map(({ name }) => name)).toEqual([
      "dataset",
      "row",
      "documents",
      "document",
      "result",
      "result-page",
    ]);
    expect(templates.find(({ name }) => name === "document")).not.toHaveProperty("mimeType");
  });

  it.each(["handbook/x.md", "shop.orders", "https://harbor.example/", "gatehouse://", "gatehouse://nothing/x", "r1"])(
    "does not read %j, which is not the URI of a resource",
    async (uri) => {
      const { error } = await readJson(await post2026(await tokenOf("owner"), "resources/read", { uri }));
      expect(Object(error).code).toBe(-32602);
    },
  );
});

it("gives an untrusted document, whose text is fenced, the type of plain text", async () => {
  const resource = await gateway.readResource(READER, "gatehouse://document/mail/letter.json");
  expect(resource).toMatchObject({ mimeType: "text/plain", text: '⟦{"a": 1}⟧' });
});

it("gives rows, tables and results their types, and lists results last", async () => {
  const request = { target: { source: "shop", sql: "SELECT 1" }, params: [], rowLimit: undefined };
  await gateway.query(READER, request);
  const read = async (uri: string) => (await gateway.readResource(READER, uri)).mimeType;
  expect(await read("gatehouse://dataset/shop/words")).toBe("text/plain");
  expect(await read("gatehouse://dataset/shop/words/a")).toBe("application/json");
  expect(await read("gatehouse://document/open")).toBe("text/plain");
  expect(await read("gatehouse://result/r1")).toBe("text/csv");
  const entries = await gateway.listResources(READER);
  expect(entries[0]).toMatchObject({ uri: "gatehouse://dataset/shop/words", mimeType: "text/plain" });
  expect(entries.at(-1)).toMatchObject({ uri: "gatehouse://result/r1", mimeType: "text/csv" });
});
