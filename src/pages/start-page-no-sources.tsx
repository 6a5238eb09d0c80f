// The start page of a deployment without sources: it shows the operator the next steps.
import { CopyText, Notice } from "../ui/components.tsx";

/** Renders the next steps for the operator, and a notice for users. */
export function NoSources() {
  return (
    <>
      <p class="lead">This server is running, but it has no data source yet.</p>
      <section aria-labelledby="next">
        <h2 id="next">If you operate this server: next steps</h2>
        <div class="sheet">
          <ol class="steps">
            <li>
              Declare a database. Run this command in the folder of this deployment. It reads an SQLite file, a dump or
              a D1 binding, and declares its tables and columns, all of them hidden:
              <CopyText text="npm run introspect -- crm.sqlite" />
            </li>
            <li>
              Open what users may ask about, and add roles and members to <code>src/gatehouse.config.ts</code>:
              <CopyText text="npm run gatehouse -- open crm.orders crm.customers" />
            </li>
            <li>
              Choose how users sign in: set <code>GATEHOUSE_SIGN_IN</code> in <code>wrangler.jsonc</code>.{" "}
              <code>docs/identity-providers.md</code> describes the methods.
            </li>
            <li>
              Check who would see what:
              <CopyText text="npm run policy -- check" />
            </li>
            <li>
              Deploy again (on your own machine, run <code>npm start</code> instead):
              <CopyText text="npm run deploy" />
            </li>
          </ol>
        </div>
      </section>
      <Notice>
        <p>If you only wanted to connect your assistant: this server is not ready yet. Come back when it is set up.</p>
      </Notice>
    </>
  );
}
