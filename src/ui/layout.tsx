// The frame of every page we show: one column, readable without scripts, light and dark. It knows nothing of its
// content; hono/jsx escapes all text put into it.
import { newId } from "../lib/ids.ts";

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --accent: #2456c8; }
@media (prefers-color-scheme: dark) { :root { --accent: #8fb0ff; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 0 auto; padding: 2rem 1rem; }
h1 { font-size: 1.5rem; line-height: 1.25; }
code, pre { font: 0.9em/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { border: 1px solid var(--line); border-radius: 6px; padding: 0.75rem; white-space: pre-wrap; }
form { display: flex; flex-wrap: wrap; gap: 0.75rem; margin: 1.5rem 0; }
button { font: inherit; padding: 0.6rem 1.1rem; border: 1px solid var(--line); border-radius: 6px; background: transparent; color: inherit; cursor: pointer; text-align: left; }
button:hover { border-color: currentColor; }
button.primary { border-color: var(--accent); color: var(--accent); font-weight: 600; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.25rem 1rem; } dd { margin: 0; overflow-wrap: anywhere; }
.note { border-left: 3px solid var(--accent); padding-left: 0.75rem; }
`;

export interface PageOptions {
  readonly title: string;
  readonly body: unknown;
  readonly status?: number;
  /** Headers to send along; the page adds its own. */
  readonly headers?: Headers;
  /** CSP sources, besides this origin, that a form of the page may end up at after redirects. */
  readonly formTargets?: readonly string[];
}

/**
 * An HTML page as a response: no scripts, nothing loaded from anywhere, not to be framed or cached. `form-action` names
 * where redirects after a form may lead, since browsers hold the whole chain to it.
 */
export async function htmlPage({
  title,
  body,
  status = 200,
  headers = new Headers(),
  formTargets = [],
}: PageOptions): Promise<Response> {
  const nonce = newId();
  const document = (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>{title}</title>
        <style nonce={nonce} dangerouslySetInnerHTML={{ __html: STYLE }} />
      </head>
      <body>
        <h1>{title}</h1>
        <main>{body}</main>
      </body>
    </html>
  );
  // A component anywhere inside may be asynchronous.
  const html: string = await document;
  headers.set("Content-Type", "text/html; charset=utf-8");
  headers.set("Cache-Control", "no-store");
  headers.set(
    "Content-Security-Policy",
    `default-src 'none'; style-src 'nonce-${nonce}'; form-action ${["'self'", ...formTargets].join(" ")}; frame-ancestors 'none'; base-uri 'none'`,
  );
  headers.set("X-Frame-Options", "DENY");
  headers.set("X-Content-Type-Options", "nosniff");
  headers.set("Referrer-Policy", "no-referrer");
  return new Response(`<!doctype html>${html}`, { status, headers });
}
