// Every page of the deployment: the authorization flow, the start page, and one for all other paths.
import { Hono } from "hono";
import { createAuthorizeRoutes } from "../auth/authorize.tsx";
import type { AuthorizeEnv, AuthorizeOptions } from "../auth/authorize.tsx";
import { createBrowserSignInRoutes } from "../auth/browser-sign-in.tsx";
import type { BrowserSignInOptions } from "../auth/browser-sign-in.tsx";
import { htmlPage } from "../ui/layout.tsx";
import { createApiRoutes } from "./api.ts";
import type { ApiOptions } from "./api.ts";
import { createHomeRoutes } from "./home.tsx";
import type { HomeOptions } from "./home.tsx";
import { createSetUpRoutes } from "./set-up.tsx";
import type { SetUpOptions } from "./set-up.tsx";

export type PagesOptions = AuthorizeOptions & BrowserSignInOptions & HomeOptions & ApiOptions & SetUpOptions;

export function createPages(options: PagesOptions): Hono<AuthorizeEnv> {
  return new Hono<AuthorizeEnv>()
    .route("/", createApiRoutes(options))
    .route("/", createSetUpRoutes(options))
    .route("/", createBrowserSignInRoutes(options))
    .route("/", createAuthorizeRoutes(options))
    .route("/", createHomeRoutes(options))
    .notFound(missingPage);
}

function missingPage(): Promise<Response> {
  const body = (
    <p>
      Go to the <a href="/">start page</a>.
    </p>
  );
  return htmlPage({ title: "There is no such page", body, status: 404 });
}

/** For a browser that used another name for this server than the one that tokens are bound to. */
export function wrongHostPage(origin: string): Promise<Response> {
  const body = (
    <p>
      Go to <a href={origin}>{origin}</a>.
    </p>
  );
  return htmlPage({ title: "This server has another address", body, status: 403 });
}

/** What is missing stands in the log, not on a page that everybody sees. */
export function notConfiguredPage(): Promise<Response> {
  const body = <p>Whoever set it up finds in its log which setting is missing or wrong.</p>;
  return htmlPage({ title: "This Gatehouse is not configured yet", body, status: 500 });
}
