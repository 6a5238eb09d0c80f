// Counts the calls to objects, databases and documents of each kind of request, and compares them with docs/call-costs.md. `vitest -u`
// rewrites the page.
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { writeCallCosts } from "../support/node/call-costs.ts";
import { startCountedServer } from "../support/node/counted-server.ts";
import type { CountedServer } from "../support/node/counted-server.ts";
import { ROOT } from "../support/node/worker.ts";

let server: CountedServer;

beforeAll(async () => {
  server = await startCountedServer();
}, 120_000);

afterAll(async () => server.stop());

it("docs/call-costs.md has what each kind of request costs", async () => {
  await expect(await writeCallCosts(server)).toMatchFileSnapshot(path.join(ROOT, "docs/call-costs.md"));
}, 60_000);
