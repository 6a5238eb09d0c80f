// The tool `describe`: what this person may see.
import * as z from "zod";
import type { Description } from "../../access/describe.ts";
import { toolResult } from "../result.ts";
import { defineReadTool } from "../tool.ts";

export const describeTool = defineReadTool({
  name: "describe",
  title: "Describe the data",
  description:
    "What this person may read. Without argument: all sources and dataset names. With a source (shop): its datasets. With a dataset (shop.orders): its columns, meanings and masks. Start here.",
  input: z.strictObject({ dataset: z.string().max(300).optional().describe("source or source.table") }),
  run: async (gateway, caller, { dataset }) => {
    const description = await gateway.describe(caller, dataset);
    return toolResult(description, textOf(description));
  },
});

function textOf(description: Description): string {
  if ("sources" in description) {
    const names = description.sources.flatMap((source) => source.datasets);
    return `${names.length === 0 ? "No datasets." : names.join(", ")} ${description.hint}`;
  }
  if ("datasets" in description)
    return description.datasets.map((one) => `${one.dataset}: ${one.description}`).join("\n");
  const columns = (description.columns ?? []).map(
    (column) => `${column.name} ${column.type}${column.masked === undefined ? "" : ` (masked: ${column.masked})`}`,
  );
  return [`${description.dataset}: ${description.description}`, description.use, ...columns].join("\n");
}
