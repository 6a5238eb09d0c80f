// What the start page of a deployment without sources says: to whoever runs it, what to do next.
import { CopyText, Notice } from "../ui/parts.tsx";

export function NoSources() {
  return (
    <>
      <p class="lead">It runs, and has nothing to show yet: no data source has been declared.</p>
      <section aria-labelledby="next">
        <h2 id="next">If you run this server: what to do next</h2>
        <div class="sheet">
          <ol class="steps">
            <li>
              Declare a database. In the folder of this deployment, this reads an SQLite file, a dump, or the name of a
              D1 binding, and writes down its tables and columns, all of them still hidden:
              <CopyText text="npm run introspect -- crm.sqlite" />
            </li>
            <li>
              Open what people may ask about: remove <code>"hidden": true</code> from tables and columns in{" "}
              <code>src/catalogue/</code>, and write roles and members into <code>src/gatehouse.config.ts</code>.
            </li>
            <li>
              Choose how people sign in: the variable <code>GATEHOUSE_SIGN_IN</code> in <code>wrangler.jsonc</code>;{" "}
              <code>docs/operating.md</code> explains the ways that there are.
            </li>
            <li>
              Read who would see what:
              <CopyText text="npm run policy -- check" />
            </li>
            <li>
              Deploy again. On your own machine, <code>npm start</code> does.
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
