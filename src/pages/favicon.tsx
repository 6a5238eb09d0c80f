// The icon that browsers show beside the title of our pages: the gate of the page header on a dark square.
import { Hono } from "hono";
import { ICON_SVG } from "../ui/icon.ts";

/** Where browsers look for an icon by themselves when they show something else of this origin than a page. */
const PATHS = ["/favicon.svg", "/favicon.ico"];

/** Serves the icon to anyone, cached for a day. */
export function createFaviconRoutes(): Hono {
  const favicon = new Hono();
  for (const path of PATHS)
    favicon.get(path, (context) =>
      context.body(ICON_SVG, 200, {
        "Content-Type": "image/svg+xml",
        "Cache-Control": "public, max-age=86400",
        "X-Content-Type-Options": "nosniff",
      }),
    );
  return favicon;
}
