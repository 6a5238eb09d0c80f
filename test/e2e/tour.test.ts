// Replays the session of docs/tour.md and compares every answer with the page. `vitest -u` rewrites the page.
import path from "node:path";
import { expect, inject, it } from "vitest";
import { connectAs } from "../support/node/clients.ts";
import { writeTour } from "../support/node/tour.ts";
import { ROOT } from "../support/node/worker.ts";

it("docs/tour.md matches the server's answers", async () => {
  const connect = async (name: string) =>
    connectAs("sdk v2, 2026", `${inject("origin")}/mcp`, `${name}@harbor.example`);
  const guests = {
    analyst: await connect("analyst"),
    support: await connect("support"),
    guest: await connect("guest"),
  };
  const page = await writeTour(guests);
  for (const client of Object.values(guests)) await client.close();
  await expect(page).toMatchFileSnapshot(path.join(ROOT, "docs/tour.md"));
});
