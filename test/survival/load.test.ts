// A small load with kills: clients of both SDKs call while workerd is killed, and everything that they saw is in the audit log.
// `npm run load` does the same with many users.
import { expect, it } from "vitest";
import { runLoad } from "../support/node/load/run-load.ts";

it.skipIf(process.platform !== "linux")(
  "records every answered call once, and fails no call between kills, when workerd is killed three times under load",
  async () => {
    const { checks, calls } = await runLoad({
      subjects: 6,
      sessions: 2,
      killingSeconds: 120,
      maxKills: 3,
      killSeconds: 1.5,
      calmSeconds: 2,
      rate: 20,
      waitsForCut: false,
      print: () => {},
    });
    expect(checks.filter(({ isMet }) => !isMet)).toEqual([]);
    expect(calls.filter(({ outcome }) => outcome === "answered").length).toBeGreaterThan(30);
    expect(new Set(calls.map(({ outcome }) => outcome))).toContain("cut");
  },
  240_000,
);
