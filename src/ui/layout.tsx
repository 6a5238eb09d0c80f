// The frame of every page we show: header, one column, footer; readable without scripts, light and dark. It knows nothing
// of its content; hono/jsx escapes all text put into it.
import { newId } from "../lib/ids.ts";
import { GateMark } from "./parts.tsx";
import { STYLE } from "./style.ts";

export interface PageOptions {
  readonly title: string;
  readonly body: unknown;
  readonly status?: number;
  /** Headers to send along; the page adds its own. */
  readonly headers?: Headers;
  /** CSP sources, besides this origin, that a form of the page may end up at after redirects. */
  readonly formTargets?: readonly string[];
  /** Who serves the page, beside the mark at its top. */
  readonly organisation?: string;
  /** Who is signed in and how to sign out, at the top. */
  readonly visitor?: unknown;
  /** `wide` for pages with several columns. */
  readonly width?: "narrow" | "wide";
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
  organisation = "Gatehouse",
  visitor,
  width = "narrow",
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
      <body class={width}>
        <header>
          <a class="brand" href="/">
            <GateMark />
            <span>{organisation}</span>
          </a>
          {visitor}
        </header>
        <main>
          <h1>{title}</h1>
          {body}
        </main>
        <footer>
          <p>Gatehouse lets assistants work with an organisation’s data, as far as the person who asks may see it.</p>
        </footer>
      </body>
    </html>
  );
  // A component anywhere inside may be asynchronous.
  const html: string = await document;
  headers.set("Content-Type", "text/html; charset=utf-8");
  headers.set("Cache-Control", "no-store");
  headers.set("Content-Security-Policy", policyOf(nonce, formTargets));
  headers.set("X-Frame-Options", "DENY");
  headers.set("X-Content-Type-Options", "nosniff");
  headers.set("Referrer-Policy", "no-referrer");
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  return new Response(`<!doctype html>${html}`, { status, headers });
}

function policyOf(nonce: string, formTargets: readonly string[]): string {
  const targets = ["'self'", ...formTargets].join(" ");
  return `default-src 'none'; style-src 'nonce-${nonce}'; form-action ${targets}; frame-ancestors 'none'; base-uri 'none'`;
}
