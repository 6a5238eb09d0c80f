// The panels of the start page that say how each client is connected.
import { CopyText } from "../ui/parts.tsx";
import { clientGuides, clientLines, isReachable } from "./clients.ts";
import type { ClientGuide } from "./clients.ts";

export interface ClientPanelsProps {
  readonly heading: string;
  /** The URL that clients connect to. */
  readonly resource: string;
}

export function ClientPanels({ heading, resource }: ClientPanelsProps) {
  const reachable = clientLines(resource);
  const others = clientGuides(resource).filter((guide) => !isReachable(guide, resource));
  return (
    <section aria-labelledby="connect">
      <h2 id="connect">{heading}</h2>
      <p class="soft">
        Choose the one that you use. A click on a grey box selects all of it. Your assistant then opens this server’s
        sign-in in a browser.
      </p>
      <ul class="cards">
        {reachable.map((guide) => (
          <li class="card">
            <Guide {...guide} />
          </li>
        ))}
        {others.length > 0 && (
          <li class="card">
            <OutOfReach clients={others.map(({ client }) => client)} />
          </li>
        )}
      </ul>
    </section>
  );
}

function Guide({ client, how, paste, next, install }: ClientGuide) {
  return (
    <>
      <h3>{client}</h3>
      {install !== undefined && (
        <p>
          <a class="button primary small" href={install}>
            Add to {client}
          </a>
        </p>
      )}
      <p class="small soft">{install === undefined ? how : `Or ${how.charAt(0).toLowerCase()}${how.slice(1)}`}</p>
      <CopyText text={paste} />
      {next !== undefined && <p class="small soft">{next}</p>}
    </>
  );
}

function OutOfReach({ clients }: { readonly clients: readonly string[] }) {
  return (
    <>
      <h3>{clients.join(", ")}</h3>
      <p class="small soft">
        They connect from the internet and cannot reach a server on your own machine. Once this server is deployed, the
        start page there says how to connect them.
      </p>
    </>
  );
}
