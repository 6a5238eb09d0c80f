// Launches this machine's Chromium for tests and screenshots. It never downloads a browser.
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";
import type { Browser } from "playwright-core";

const EXECUTABLE_PATHS = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** Launches a headless Chromium. Throws an error that says what to install when this machine has none. */
export async function launchChromium(): Promise<Browser> {
  const executablePath = [process.env["CHROMIUM"] ?? "", ...EXECUTABLE_PATHS].find(
    (file) => file !== "" && existsSync(file),
  );
  if (executablePath === undefined)
    throw new Error(
      "Chromium was not found. Install it (apt-get install chromium), or set CHROMIUM to the path of yours.",
    );
  // Chromium's sandbox does not work as root, and containers have little shared memory.
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}
