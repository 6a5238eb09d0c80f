// `gatehouse start`
import type { CliCommand } from "../kit/command.ts";

/** Adds the command to the program. */
export function addStart(program: CliCommand): void {
  program
    .command("start")
    .summary("Serves Gatehouse on this machine.")
    .description(
      "Serves Gatehouse on this machine, at http://localhost:8787 or the port of PORT. Serves the sample organisation until the policy file has a source.",
    )
    .option("--sample", "serve the sample organisation even if the policy file has sources")
    .examples("npm start", "npm start -- --sample")
    .action(async ({ sample }: { readonly sample?: boolean }) => {
      const { serveLocally } = await import("../local-server/start.ts");
      await serveLocally(sample === true);
    });
}
