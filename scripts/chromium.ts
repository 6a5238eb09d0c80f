// The browser of this machine, for tests and screenshots: a Chromium that is installed, never one that is downloaded.
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";
import type { Browser } from "playwright-core";

const PLACES = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** Starts it without a window. Throws, with what to install, when there is none. */
export async function launchChromium(): Promise<Browser> {
  const executablePath = [process.env["CHROMIUM"] ?? "", ...PLACES].find((place) => place !== "" && existsSync(place));
  if (executablePath === undefined)
    throw new Error(
      "There is no Chromium here. Install one (apt-get install chromium), or name yours: CHROMIUM=/path/to/it",
    );
  // As root, in a container, there is neither its sandbox nor much shared memory.
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}
