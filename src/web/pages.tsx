// Every page of the deployment: the authorization flow, the start page, and one for all other paths.
import { Hono } from "hono";
import { createAuthorizeRoutes } from "../auth/authorize.tsx";
import type { AuthorizeEnv, AuthorizeOptions } from "../auth/authorize.tsx";
import { htmlPage } from "../ui/layout.tsx";
import { createHomeRoutes } from "./home.tsx";
import type { HomeOptions } from "./home.tsx";

export function createPages(options: AuthorizeOptions & HomeOptions): Hono<AuthorizeEnv> {
  return new Hono<AuthorizeEnv>()
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
