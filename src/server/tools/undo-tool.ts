// The tool `undo`, which proposes to take an applied change back.
import * as z from "zod";
import { defineChangeTool } from "../kit/define-change-tool.ts";

/** Proposes an undo, which needs the same approval as the change. */
export const undoTool = defineChangeTool({
  name: "undo",
  title: "Undo a change",
  description:
    "Propose to take back an applied change, if its rows are still as it left them. It needs the same approval.",
  input: z.strictObject({
    change: z.string().min(1).max(100).describe("id of the change"),
    reason: z.string().min(1).max(2000),
  }),
  propose: async (gateway, caller, { change, reason }) => gateway.undo(caller, { change, reason }),
});
