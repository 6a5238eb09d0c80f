// Installs the packages of package-lock.json unless this machine already has them. It runs before every command, with whatever Node
// is installed, so it uses only features of Node 18.
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
  if (error) console.error(`npm could not be started: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
  writeFileSync(stampFile, stamp);
}

// On Linux the lock file installs a current Node, which npm puts first on the PATH of its scripts.
if (!existsSync(path.join(root, "node_modules", ".bin", "node"))) {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major < MINIMUM[0] || (major === MINIMUM[0] && minor < MINIMUM[1])) {
    console.error(
      `Gatehouse needs Node ${MINIMUM.join(".")} or newer on this system, not ${process.versions.node}: see https://nodejs.org.`,
    );
    process.exit(1);
  }
}
