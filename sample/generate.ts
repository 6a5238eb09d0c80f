// Generates the sample organisation's data from a fixed seed, so that it is the same on every machine and every day.
import { generateOps } from "./ops.ts";
import { createRandom } from "./random.ts";
import { generateShop } from "./shop.ts";
import type { Table } from "./table.ts";

/** The tables of each D1 binding, in an order that satisfies foreign keys. */
interface SampleData {
  readonly SHOP_DB: readonly Table[];
  readonly OPS_DB: readonly Table[];
}

const SEED = 20260630;

/** Generates the tables of both databases. */
export function generateSample(): SampleData {
  const random = createRandom(SEED);
  const shop = generateShop(random);
  return { SHOP_DB: shop.tables, OPS_DB: generateOps(random, shop) };
}
