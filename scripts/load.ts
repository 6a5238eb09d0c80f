// `npm run load -- --minutes 2`: real clients of many users call a local server whose process is killed every few seconds, and everything
// that they saw is compared with the audit log. Ends with 1 when a check fails.
import { parseArgs } from "node:util";
import { print, printAside } from "../cli/kit/terminal.ts";
import { runLoad } from "../test/support/node/load/run-load.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "2" },
    subjects: { type: "string", default: "200" },
    sessions: { type: "string", default: "5" },
    "kill-seconds": { type: "string", default: "5" },
    rate: { type: "string", default: "30" },
  },
});
const read = (name: keyof typeof values): number => {
  const number = Number(values[name]);
  if (Number.isFinite(number) && number > 0) return number;
  printAside(`--${name} is ${JSON.stringify(values[name])}. It takes a number greater than 0.`);
  process.exit(1);
};
const minutes = read("minutes");
const options = {
  subjects: read("subjects"),
  sessions: read("sessions"),
  // Two thirds of the time are with kills.
  killingSeconds: minutes * 40,
  killSeconds: read("kill-seconds"),
  calmSeconds: minutes * 20,
  rate: read("rate"),
  waitsForCut: true,
  print,
};

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
const { checks, figures } = await runLoad(options);
print(["", ...figures, ""].join("\n"));
for (const { name, isMet, detail } of checks) print(`${isMet ? "met" : "MISSED"}: ${name} (${detail})`);
process.exit(checks.every(({ isMet }) => isMet) ? 0 : 1);
