#!/usr/bin/env bash
# Bundles the console into BUILD/console; libraries as package-lock.json pins them, in BUILD/console-npm. Never fails the build of the program.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BUILD=$1 NPM=$1/console-npm OUT=$1/console
mkdir -p "$NPM" "$OUT"
if ! cmp -s "$HERE/package-lock.json" "$NPM/installed"; then
	cp "$HERE/package.json" "$HERE/package-lock.json" "$NPM/"
	# no install scripts: nothing that is fetched runs here but esbuild itself
	if ! (cd "$NPM" && npm ci --ignore-scripts --no-audit --no-fund) >"$BUILD/console-npm.log" 2>&1; then
		echo "console: not built, for npm could not fetch its libraries ($BUILD/console-npm.log); / stays the status page" >&2
		exit 0
	fi
	cp "$HERE/package-lock.json" "$NPM/installed"
fi
node "$HERE/build.mjs" "$HERE/src" "$NPM" "$OUT"
touch "$OUT/built"
