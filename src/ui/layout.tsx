// The layout of every page: header, one column, footer; readable without scripts, in light and dark. It does not depend on the content;
// hono/jsx escapes all text.
import { newId } from "../lib/ids.ts";
import { GateMark } from "./components.tsx";
import { ICON_URL } from "./icon.ts";
import { STYLE } from "./style.ts";

/** The content of a page and the options of its response. */
export interface PageOptions {
  readonly title: string;
  readonly body: unknown;
  readonly status?: number;
  /** Headers to send; the page adds its own to them. */
  readonly headers?: Headers;
  /** CSP sources, besides this origin, that a form of the page may reach through redirects. */
  readonly formTargets?: readonly string[];
  /** The name at the top of the page, beside the mark. */
  readonly organisation?: string;
  /** JSX at the top of the page for a signed-in user: who is signed in, and the sign-out button. */
  readonly visitor?: unknown;
  /** `wide` for pages with several columns. */
  readonly width?: "narrow" | "wide";
}

/**
 * Renders an HTML page as a response. It has no scripts, loads nothing, and cannot be framed or cached. `form-action`
 * includes the targets of redirects after a form, because browsers apply it to the whole redirect chain.
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
        <link rel="icon" type="image/svg+xml" href={ICON_URL} />
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
          <p>Gatehouse lets AI assistants work with the data of an organisation that their user may see.</p>
        </footer>
      </body>
    </html>
  );
  // The document is a promise when a component in it is asynchronous.
  const html: string = await document;
  headers.set("Content-Type", "text/html; charset=utf-8");
  headers.set("Cache-Control", "no-store");
  headers.set("Content-Security-Policy", buildContentSecurityPolicy(nonce, formTargets));
  headers.set("X-Frame-Options", "DENY");
  headers.set("X-Content-Type-Options", "nosniff");
  headers.set("Referrer-Policy", "no-referrer");
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  return new Response(`<!doctype html>${html}`, { status, headers });
}

function buildContentSecurityPolicy(nonce: string, formTargets: readonly string[]): string {
  const targets = ["'self'", ...formTargets].join(" ");
  return `default-src 'none'; style-src 'nonce-${nonce}'; form-action ${targets}; frame-ancestors 'none'; base-uri 'none'; img-src data:`;
}
