// Generates the sample's operations database: warehouses, stock and shipments for the shop's products and orders.
import type { Table } from "./table.ts";
import type { Random } from "./random.ts";
import type { Shop } from "./shop.ts";
import { daysBefore } from "./time.ts";
import { CARRIERS, REGIONS, TOWNS } from "./words.ts";

/** Generates the tables of the operations database. */
export function generateOps(random: Random, { products, orders }: Shop): readonly Table[] {
  const warehouses = REGIONS.map((region, index) => {
    const town = TOWNS[region][0] ?? region;
    return [index + 1, `${region.slice(0, 1).toUpperCase()}1`, town, region, 1200 + 400 * index];
  });
  const stock = warehouses.flatMap(([warehouseId = 0]) =>
    products.map(({ sku }) => {
      const onHand = random.chance(0.06) ? 0 : random.between(1, 240);
      return [
        warehouseId,
        sku,
        onHand,
        Math.min(onHand, random.between(0, 12)),
        random.between(5, 40),
        daysBefore(random.between(1, 90)).slice(0, 10),
      ];
    }),
  );
  const shippedOrders = orders.filter((order) => ["shipped", "delivered", "returned"].includes(order.status));
  const shipments = shippedOrders.map((order, index) => {
    const sentAgeDays = Math.max(0, order.ageDays - random.between(1, 3));
    const deliveredAt =
      order.status === "shipped"
        ? null
        : daysBefore(Math.max(1, sentAgeDays - random.between(1, 6)), random.between(28_800, 64_800));
    return [
      index + 1,
      order.id,
      random.between(1, 4),
      random.pick(CARRIERS),
      daysBefore(sentAgeDays, random.between(20_000, 28_000)),
      deliveredAt,
      random.between(200, 28_000),
    ];
  });
  return [
    { name: "warehouses", columns: ["id", "code", "town", "region", "capacity_pallets"], rows: warehouses },
    {
      name: "stock",
      columns: ["warehouse_id", "sku", "on_hand", "reserved", "reorder_level", "counted_on"],
      rows: stock,
    },
    {
      name: "shipments",
      columns: ["id", "order_id", "warehouse_id", "carrier", "shipped_at", "delivered_at", "weight_grams"],
      rows: shipments,
    },
  ];
}
