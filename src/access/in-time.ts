// How long a person waits for a source. The reading itself cannot be stopped: it goes on behind the answer.
import { AppError } from "../errors.ts";
import { StillRunning } from "./recorded.ts";

/** Errors: `limit_reached` when the time is up; the reading goes on. */
export async function inTime<T>(reading: Promise<T>, seconds: number): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const message = `The query took longer than ${seconds} seconds and was given up on. Filter by an indexed column, or ask for less.`;
  const timer = setTimeout(
    () => reject(new StillRunning(new AppError("limit_reached", message), reading)),
    seconds * 1000,
  );
  try {
    return await Promise.race([reading, late]);
  } finally {
    clearTimeout(timer);
  }
}
