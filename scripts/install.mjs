// Installs what package-lock.json names, if that has not been done on this machine. Runs before every command, with
// whatever Node there is, so it uses only what Node 18 has.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const stampFile = path.join(root, "node_modules", ".gatehouse-install");
const MINIMUM = [22, 18];

const lock = readFileSync(path.join(root, "package-lock.json"));
const stamp = createHash("sha256").update(lock).update(`${process.platform} ${process.arch}`).digest("hex");

if (!existsSync(stampFile) || readFileSync(stampFile, "utf8") !== stamp) {
  console.log("Installing dependencies (once, about a minute) …");
  const { status, error } = spawnSync("npm", ["ci", "--loglevel=error", "--no-fund", "--no-audit"], {
    cwd: root,
    stdio: "inherit",
  });
  if (error) console.error(`npm could not be run: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
  writeFileSync(stampFile, stamp);
}

// On Linux the lock file brings a current Node, which npm puts first on the path of its scripts.
if (!existsSync(path.join(root, "node_modules", ".bin", "node"))) {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major < MINIMUM[0] || (major === MINIMUM[0] && minor < MINIMUM[1])) {
    console.error(
      `Gatehouse needs Node ${MINIMUM.join(".")} or newer here; this is ${process.versions.node}. Install one from https://nodejs.org.`,
    );
    process.exit(1);
  }
}
