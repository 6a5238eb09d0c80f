// Reading documents from KV: values in other encodings are read several at a time, and documents keep the order of their keys.
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { createKvDocuments } from "../../src/documents/kv-documents.ts";

it("reads documents in other encodings at most six at a time, in the order of their keys", async () => {
  const keys = Array.from({ length: 20 }, (_value, index) => `n${String(index).padStart(2, "0")}.txt`);
  for (const [index, key] of keys.entries())
    await env.HANDBOOK.put(
      key,
      index % 5 === 0 ? `grün ${index}` : Uint8Array.of(0x67, 0x72, 0xfc, 0x6e, 0x20, 0x30 + (index % 10)),
    );
  let open = 0;
  let mostOpen = 0;
  const counted = new Proxy(env.HANDBOOK, {
    get: (namespace, property) => {
      const member: unknown = Reflect.get(namespace, property);
      if (property !== "get" || typeof member !== "function") return member;
      return async (...parameters: readonly unknown[]): Promise<unknown> => {
        open += 1;
        mostOpen = Math.max(mostOpen, open);
        try {
          return await Reflect.apply(member, namespace, parameters);
        } finally {
          open -= 1;
        }
      };
    },
  });
  const documents = await createKvDocuments("open", counted).read(keys);
  expect(documents.map(({ key }) => key)).toEqual(keys);
  expect(documents.map(({ text }) => text)).toEqual(
    keys.map((_key, index) => `grün ${index % 5 === 0 ? index : index % 10}`),
  );
  expect(mostOpen).toBe(6);
});
