// The main job over real HTTP: each sample account signs in with each real client and gets exactly what it may see.
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { CLIENT_KINDS, connectAs } from "../support/node/clients.ts";
import type { TestClient } from "../support/node/clients.ts";

const resource = `${inject("origin")}/mcp`;

describe.each(CLIENT_KINDS)("%s", (kind) => {
  it("debug", async () => {
    const client = await connectAs(kind, resource, "analyst@harbor.example");
    console.log(await client.toolNames(), client.instructions().slice(0, 80));
    console.log(await client.call("describe", {}));
    console.log(await client.call("describe", {dataset:"shop.customers"}));
    console.log(await client.call("query", {source:"shop", sql:"SELECT * FROM customers LIMIT 2"}));
    console.log(await client.call("query", {source:"shop", sql:"SELECT notes FROM customers LIMIT 2"}));
    console.log(await client.call("query", {source:"shop", sql:"SELECT status, count(*) n FROM orders WHERE total_cents > ? GROUP BY 1", params:[1000]}));
    console.log(await client.call("search", {query:"refund"}));
    console.log(await client.call("fetch", {id:"shop.customers/4"}));
    console.log((await client.resourceUris()).slice(0,3));
    console.log(await client.read("gatehouse://dataset/shop/orders"));
    console.log(await client.read("gatehouse://dataset/shop/nothing"));
    await client.close();
  });
});
