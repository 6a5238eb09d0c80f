// The page at /: what this server is and how to connect an assistant to it. Nothing on it needs a sign-in.
import { Hono } from "hono";
import { htmlPage } from "../ui/layout.tsx";
import { clientLines } from "./clients.ts";

export interface HomeOptions {
  readonly organisation: string;
  readonly resource: string;
  /** Whether anything is served yet. */
  readonly hasSources: boolean;
}

export function createHomeRoutes({ organisation, resource, hasSources }: HomeOptions): Hono {
  const app = new Hono();
  app.get("/", () =>
    htmlPage({
      title: `${organisation}: data for your assistant`,
      body: <Home resource={resource} hasSources={hasSources} />,
    }),
  );
  return app;
}

function Home({ resource, hasSources }: Omit<HomeOptions, "organisation">) {
  if (!hasSources) {
    return (
      <p>
        This server has no data sources yet. Whoever runs it declares them in <code>src/gatehouse.config.ts</code>.
      </p>
    );
  }
  return (
    <>
      <p>Add this server to your assistant, sign in, and ask. The assistant sees only what you may see.</p>
      {clientLines(resource).map(({ client, how, paste }) => (
        <section>
          <p>
            <strong>{client}</strong>, {how}:
          </p>
          <pre>{paste}</pre>
        </section>
      ))}
    </>
  );
}
