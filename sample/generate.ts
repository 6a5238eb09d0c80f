// The data of the sample organisation, from a fixed seed: the same rows on every machine and every day.
import { generateOps } from "./ops.ts";
import { createRandom } from "./random.ts";
import { generateShop } from "./shop.ts";
import type { Table } from "./table.ts";

export interface SampleData {
  /** By binding; tables in an order in which their foreign keys hold. */
  readonly SHOP_DB: readonly Table[];
  readonly OPS_DB: readonly Table[];
}

const SEED = 20260630;

export function generateSample(): SampleData {
  const random = createRandom(SEED);
  const shop = generateShop(random);
  return { SHOP_DB: shop.tables, OPS_DB: generateOps(random, shop) };
}
