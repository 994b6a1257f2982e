// One script and one style sheet out of SRC, with libraries of NPM/node_modules, into OUT. Prints what they weigh as they are sent.
import { createRequire } from "node:module";
import { copyFileSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { join } from "node:path";

const [src, npm, out] = process.argv.slice(2);
const esbuild = createRequire(join(npm, "package.json"))("esbuild");

await esbuild.build({
  entryPoints: [join(src, "app.js"), join(src, "app.css")],
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2020",
  charset: "utf8",
  legalComments: "inline",
  nodePaths: [join(npm, "node_modules")],
  logLevel: "warning",
});
for (const name of ["index.html", "icon.svg"]) copyFileSync(join(src, name), join(out, name));
let sum = 0;
for (const name of ["index.html", "app.js", "app.css", "icon.svg"]) sum += gzipSync(readFileSync(join(out, name)), { level: 9 }).length;
console.log(`console: ${sum} bytes to load, packed`);
