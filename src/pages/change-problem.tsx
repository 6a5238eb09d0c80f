// The problem pages of changes: what a person sees when a change cannot be shown, decided or undone.
import { AppError } from "../errors.ts";
import { problemPage } from "../sign-in/problem-page.tsx";
import { toHttpStatus } from "./api-guards.ts";

/** Renders an `AppError` with what to do next, and throws every other error. A change that is no longer as the form knew it gives 409. */
export function changeProblemPage(error: unknown, next: unknown): Promise<Response> {
  if (!(error instanceof AppError)) throw error;
  const status = error.code === "invalid_input" ? 409 : toHttpStatus(error.code);
  return problemPage(error.publicMessage, { status, next });
}
