// Limits how long a call waits for a source. It does not stop the read: D1 cannot cancel a query, so it continues after the answer.
import { AppError } from "../errors.ts";
import { StillRunningError } from "./audit.ts";

/** Waits for `work`. Errors: `limit_reached` (a `StillRunningError`) when the time is up. */
export async function withTimeout<T>(work: Promise<T>, seconds: number): Promise<T> {
  const { promise: timeout, reject } = Promise.withResolvers<never>();
  const message = [
    `The query took longer than ${seconds} seconds, so the server stopped waiting for it.`,
    "Filter by an indexed column, or ask for less.",
  ].join(" ");
  const timer = setTimeout(
    () => reject(new StillRunningError(new AppError("limit_reached", message), work)),
    seconds * 1000,
  );
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
