// The page on which a person reviews a change of data and decides, and the routes behind its forms. It shows what the change review
// returns for this viewer, and decides nothing itself.
import { Hono } from "hono";
import type { Context } from "hono";
import type { AuthorizeEnv } from "../oauth/authorize.tsx";
import type { BrowserSession } from "../sign-in/browser-session.ts";
import { problemPage, readTextField, redirect, requireForm } from "../sign-in/problem-page.tsx";
import { buildSignInPath } from "../sign-in/sign-in.ts";
import { htmlPage } from "../ui/layout.tsx";
import { createChangeListRoutes } from "./change-list-page.tsx";
import type { ChangePageOptions } from "./change-list-page.tsx";
import { changeProblemPage } from "./change-problem.tsx";
import { ChangeReport, DECISION_FIELD, PROOF_FIELD } from "./change-report.tsx";
import { describeChange } from "./change-words.ts";
import { CHANGES_PATH } from "./start-page-user.tsx";
import { SignedInUser } from "./start-page.tsx";

/** Any other id leads to the page for unknown paths. */
const CHANGE_ROUTE = `${CHANGES_PATH}/:id{[0-9a-f]{32}}` as const;

/** Creates the routes of the list, of a change, and of the forms that decide or undo it. */
export function createChangeRoutes(options: ChangePageOptions): Hono<AuthorizeEnv> {
  const { changeReview } = options;
  return new Hono<AuthorizeEnv>()
    .route("/", createChangeListRoutes(options))
    .get(CHANGE_ROUTE, async ({ req }) => showChange(req.raw, req.param("id"), options))
    .post(`${CHANGE_ROUTE}/decision`, requireForm, async (context) =>
      receiveForm(context, options, async ({ identity }, form, id) => {
        const decision = readTextField(form, DECISION_FIELD);
        const proof = readTextField(form, PROOF_FIELD);
        if ((decision !== "approve" && decision !== "deny") || proof === "")
          return problemPage("This form is not complete, so nothing was decided.", { next: backToChange(id) });
        await changeReview.decide(identity, id, { approves: decision === "approve", proof });
        return redirect(`${CHANGES_PATH}/${id}`);
      }),
    )
    .post(`${CHANGE_ROUTE}/undo`, requireForm, async (context) =>
      receiveForm(context, options, async ({ identity }, _form, id) =>
        redirect(`${CHANGES_PATH}/${await changeReview.undo(identity, id)}`),
      ),
    );
}

async function showChange(
  raw: Request,
  id: string,
  { sessions, organisation, changeReview }: ChangePageOptions,
): Promise<Response> {
  const session = await sessions.read(raw);
  if (session === undefined) return redirect(buildSignInPath(`${CHANGES_PATH}/${id}`));
  try {
    const view = await changeReview.view(session.identity, id);
    return await htmlPage({
      title: describeChange(view),
      organisation,
      visitor: <SignedInUser session={session} />,
      body: <ChangeReport view={view} csrfToken={session.csrfToken} />,
      width: "wide",
    });
  } catch (error) {
    return changeProblemPage(error, <a href={CHANGES_PATH}>Go to your changes</a>);
  }
}

type FormAction = (session: BrowserSession, form: FormData, id: string) => Promise<Response>;

/** Runs `act` for a form that a page of this server sent in this browser session. */
async function receiveForm(
  { req }: Context<AuthorizeEnv>,
  { sessions }: ChangePageOptions,
  act: FormAction,
): Promise<Response> {
  const id = req.param("id") ?? "";
  const session = await sessions.read(req.raw);
  if (session === undefined) {
    return problemPage("You are no longer signed in, so nothing was done.", {
      status: 403,
      next: <a href={buildSignInPath(`${CHANGES_PATH}/${id}`)}>Sign in, then look at the change again</a>,
    });
  }
  const form = await req.raw.formData();
  if (!sessions.hasCsrfToken(session, form)) {
    return problemPage("This form did not come from a page of this server in this session, so nothing was done.", {
      status: 403,
      next: backToChange(id),
    });
  }
  try {
    return await act(session, form, id);
  } catch (error) {
    return changeProblemPage(error, backToChange(id));
  }
}

function backToChange(id: string) {
  return <a href={`${CHANGES_PATH}/${id}`}>Look at the change as it is now</a>;
}
