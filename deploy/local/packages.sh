# shellcheck shell=bash
# What the project needs from Debian 12, in one place, and the step that installs what is missing.
# Sourced by ./dev and used by deploy/Dockerfile. Leaves out: Apache Kafka, which tests/kafka-local
# fetches by Maven when a real broker is asked for.

# To build and to run the program, and to run the private services of ./dev up.
PACKAGES_BUILD=(
	build-essential cmake ninja-build pkg-config git ca-certificates
	librdkafka-dev libhiredis-dev libpq-dev libpcre2-dev libvectorscan-dev libmicrohttpd-dev
	libsimdjson-dev libutf8proc-dev libyaml-dev libssl-dev libcurl4-openssl-dev zlib1g-dev libsodium-dev
	nodejs npm
)
PACKAGES_RUN=(postgresql-15 redis-server curl jq python3 python3-yaml util-linux procps)

# What the built program links with; for an image without compilers.
# shellcheck disable=SC2034
PACKAGES_LIBS=(
	ca-certificates librdkafka1 libhiredis0.14 libpq5 libpcre2-8-0 libvectorscan5 libmicrohttpd12 libsimdjson14
	libutf8proc2 libyaml-0-2 libssl3 libcurl4 zlib1g libsodium23
)

# What ./dev test and its parts add: a second compiler with its sanitizers,
# Python with the clients of the real services, Java for the real Kafka, and the programs that read the list.
PACKAGES_TEST=(
	clang clang-format llvm libclang-rt-14-dev libfuzzer-14-dev openjdk-17-jre-headless maven
	python3-pytest python3-psycopg2 python3-redis python3-confluent-kafka python3-requests python3-pip
	chromium fonts-dejavu-core crowdsec-custom-bouncer pgbackrest prometheus
	kannel kannel-extras kamailio kamailio-redis-modules kamailio-postgres-modules kamailio-utils-modules sip-tester
)

# The unprivileged user that runs the private services when ./dev is run by root.
SERVICE_USER=khien-dev

# packages_missing NAME...: prints those that are not installed.
packages_missing() {
	local have name
	have=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p') || true
	for name in "$@"; do
		grep -qx -- "$name" <<<"$have" && continue
		# Hyperscan has the same interface and excludes Vectorscan: what is there stays.
		if [ "$name" = libvectorscan-dev ] && dpkg-query -W -f='${db:Status-Status}\n' libhyperscan-dev 2>/dev/null |
			grep -qx installed; then
			continue
		fi
		# Node's own packages bring npm along, and exclude Debian's.
		if [ "$name" = npm ] && command -v npm >/dev/null; then
			continue
		fi
		printf '%s\n' "$name"
	done
}

# as_root COMMAND...: runs it as root, by sudo when we are not.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo -- "$@"
	else
		echo "dev: installing packages needs root or sudo; ask your administrator for: $*" >&2
		return 1
	fi
}

# The database and the cache are run privately, so the packages must start nothing of their own: no
# cluster is created and no service is started or enabled. A server that was here before stays as it is.
packages_quiet_install() {
	as_root env DEBIAN_FRONTEND=noninteractive bash -s -- "$@" <<'ROOT'
set -euo pipefail
apt=(apt-get -y -q -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 -o APT::Install-Recommends=false)
policy=/usr/sbin/policy-rc.d made_policy='' fresh_pg='' fresh=()
for one in redis-server kannel kamailio crowdsec-custom-bouncer prometheus; do
	dpkg-query -W -f='${db:Status-Status}\n' "$one" 2>/dev/null | grep -qx installed || fresh+=("$one")
done
[ -e /etc/postgresql-common/createcluster.conf ] || fresh_pg=1
trap '[ -z "$made_policy" ] || rm -f "$policy"' EXIT
if [ ! -e "$policy" ]; then
	made_policy=1
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi
"${apt[@]}" update
if [ -n "$fresh_pg" ] && printf '%s\n' "$@" | grep -q '^postgresql'; then
	"${apt[@]}" install postgresql-common
	sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
fi
"${apt[@]}" install "$@"
if [ -d /run/systemd/system ]; then
	for one in "${fresh[@]}"; do systemctl disable --quiet --now "$one" 2>/dev/null || true; done
fi
ROOT
}

# packages_setup NAME...: installs what is missing and makes the service user. Quick when all is there.
packages_setup() {
	local missing
	mapfile -t missing < <(packages_missing "$@")
	if [ ${#missing[@]} -gt 0 ]; then
		[ -e /etc/debian_version ] || {
			echo "dev: this is no Debian; install the counterparts of: ${missing[*]}" >&2
			return 1
		}
		echo "dev: installing ${#missing[@]} packages: ${missing[*]}"
		local log
		log=$(mktemp)
		packages_quiet_install "${missing[@]}" >"$log" 2>&1 || {
			tail -n 30 "$log" >&2
			rm -f "$log"
			echo "dev: the packages could not be installed" >&2
			return 1
		}
		rm -f "$log"
	fi
	if [ "$(id -u)" = 0 ] && ! getent passwd "$SERVICE_USER" >/dev/null; then
		useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$SERVICE_USER"
	fi
}
