// Puts together the routes of all pages and of the JSON API, with a page for unknown paths. It also has the pages for a wrong host and
// for a deployment that is not configured.
import { Hono } from "hono";
import { createAuthorizeRoutes } from "../oauth/authorize.tsx";
import type { AuthorizeEnv, AuthorizeOptions } from "../oauth/authorize.tsx";
import { createBrowserSignInRoutes } from "../sign-in/browser-sign-in.tsx";
import type { BrowserSignInOptions } from "../sign-in/browser-sign-in.tsx";
import { htmlPage } from "../ui/layout.tsx";
import type { ChangePageOptions } from "./change-list-page.tsx";
import { createChangeRoutes } from "./change-page.tsx";
import { createFaviconRoutes } from "./favicon.tsx";
import { createApiRoutes } from "./json-api.ts";
import type { ApiOptions } from "./json-api.ts";
import { createOwnRecordsRoutes } from "./own-records-page.tsx";
import type { OwnRecordsOptions } from "./own-records-page.tsx";
import { createStartPageRoutes } from "./start-page.tsx";
import type { StartPageOptions } from "./start-page.tsx";
import { createSetupRoutes } from "./setup-page.tsx";
import type { SetupPageOptions } from "./setup-page.tsx";

/** The options of all pages and of the JSON API. */
export interface PagesOptions
  extends
    AuthorizeOptions,
    BrowserSignInOptions,
    StartPageOptions,
    ApiOptions,
    SetupPageOptions,
    OwnRecordsOptions,
    ChangePageOptions {}

/** Creates the routes of all pages. The order matters: the authorization flow shares the callback path with the page sign-in. */
export function createPages(options: PagesOptions): Hono<AuthorizeEnv> {
  return new Hono<AuthorizeEnv>()
    .route("/", createApiRoutes(options))
    .route("/", createSetupRoutes(options))
    .route("/", createBrowserSignInRoutes(options))
    .route("/", createAuthorizeRoutes(options))
    .route("/", createStartPageRoutes(options))
    .route("/", createOwnRecordsRoutes(options))
    .route("/", createChangeRoutes(options))
    .route("/", createFaviconRoutes())
    .notFound(missingPage);
}

function missingPage(): Promise<Response> {
  const body = (
    <p>
      Go to the <a href="/">start page</a>.
    </p>
  );
  return htmlPage({ title: "Page not found", body, status: 404 });
}

/** For a browser that opened this server at another host than the one that access tokens are bound to. */
export function wrongHostPage(origin: string): Promise<Response> {
  const body = (
    <p>
      Go to <a href={origin}>{origin}</a>.
    </p>
  );
  return htmlPage({ title: "This server has another address", body, status: 403 });
}

/** For a deployment with a missing or invalid setting. The page is public, so only the log names the setting. */
export function notConfiguredPage(): Promise<Response> {
  const body = <p>If you operate this server: its log says which setting is missing or invalid.</p>;
  return htmlPage({ title: "This Gatehouse is not configured yet", body, status: 500 });
}

/** For a version that does not work with the layout of the database: during a deployment, or after only one of both was rolled back. */
export function upgradingPage(): Promise<Response> {
  const body = (
    <p>Try again in a minute. If you operate this server and it stays like this: its log says what to do.</p>
  );
  const headers = new Headers({ "Retry-After": "30" });
  return htmlPage({ title: "This Gatehouse is being upgraded", body, status: 503, headers });
}
