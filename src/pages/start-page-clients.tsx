// The panels of the start page that show how to connect each client.
import { CopyText } from "../ui/components.tsx";
import { listClientGuides, listReachableGuides, isReachable } from "./client-guides.ts";
import type { ClientGuide } from "./client-guides.ts";

interface ClientPanelsProps {
  readonly heading: string;
  /** The URL that clients connect to. */
  readonly resource: string;
}

/** Renders one panel for each client that can reach this server, and one that names the other clients. */
export function ClientPanels({ heading, resource }: ClientPanelsProps) {
  const reachable = listReachableGuides(resource);
  const unreachable = listClientGuides(resource).filter((guide) => !isReachable(guide, resource));
  return (
    <section aria-labelledby="connect">
      <h2 id="connect">{heading}</h2>
      <p class="soft">
        Choose the assistant that you use. Click a grey box to select all of its text. Your assistant then opens the
        sign-in page of this server in a browser.
      </p>
      <ul class="cards">
        {reachable.map((guide) => (
          <li class="card">
            <Guide {...guide} />
          </li>
        ))}
        {unreachable.length > 0 && (
          <li class="card">
            <UnreachableClients clients={unreachable.map(({ client }) => client)} />
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

function UnreachableClients({ clients }: { readonly clients: readonly string[] }) {
  return (
    <>
      <h3>{clients.join(", ")}</h3>
      <p class="small soft">
        These assistants connect from the internet and cannot reach a server on your own machine. Once this server is
        deployed, its start page shows how to connect them.
      </p>
    </>
  );
}
