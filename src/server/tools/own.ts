// The tools of this organisation, as `npm run new:tool` lists them: one file each in own/.
import type { Tool } from "../tool.ts";

export const OWN_TOOLS: readonly Tool[] = [];
