#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs the Debian packages that building or testing needs, and only those that are missing;
# when none is, it ends in milliseconds and asks nobody for anything.
#
#   tools/setup.sh build            what `make` and `make run` need
#   tools/setup.sh test             that, and what `make test` and `make bench` need
#   tools/setup.sh --check build    install nothing; name what is missing and fail if something is
#
# On a system without dpkg it does nothing: there the compiler says what it misses.
set -eu

build='libuv1-dev libssl-dev libdeflate-dev zlib1g-dev libsnappy-dev libstdc++-12-dev
    libedit-dev libjansson-dev'
test='python3 libcmocka-dev clang libclang-rt-14-dev clang-format python3-pytest
    python3-pytest-timeout python3-pytest-xdist python3-kazoo zookeeper libzookeeper-java
    libzookeeper-mt-dev
    libzookeeper-mt2 libcurator-client-java libcurator-framework-java libcurator-recipes-java
    libcurator-discovery-java kcat openjdk-17-jdk-headless'
# Programs that may have come from elsewhere (a newer compiler, node's own npm) need no package.
# Each is command:package.
build_commands='cc:gcc cc:libc6-dev ar:binutils'
test_commands='npm:npm'

check=no
if [ "${1:-}" = --check ]; then
    check=yes
    shift
fi
case "${1:-}" in
build) packages=$build commands=$build_commands ;;
test) packages="$build $test" commands="$build_commands $test_commands" ;;
*)
    echo "usage: tools/setup.sh [--check] build|test" >&2
    exit 2
    ;;
esac
command -v dpkg-query >/dev/null || exit 0

# dpkg-query fails when it does not know one of the names; what it prints is all that counts.
# shellcheck disable=SC2086
there=$(dpkg-query -W -f '${db:Status-Status}:${Package}\n' $packages 2>/dev/null || true)
missing=
for p in $packages; do
    case "
$there
" in
    *"
installed:$p
"*) ;;
    *) missing="$missing $p" ;;
    esac
done
for c in $commands; do
    command -v "${c%%:*}" >/dev/null || missing="$missing ${c#*:}"
done
[ -n "$missing" ] || exit 0

if [ "$check" = yes ]; then
    echo "missing packages:$missing" >&2
    echo "install them with: tools/setup.sh $1" >&2
    exit 1
fi
sudo=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "not root and no sudo; as root do: apt-get install$missing" >&2
        exit 1
    fi
    sudo='sudo'
fi
echo "installing:$missing" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 \
        -o Acquire::Retries=3 "$@" >"$log" 2>&1 </dev/null || {
        tail -n 30 "$log" >&2
        echo "apt-get $1 failed (see above)" >&2
        return 1
    }
}
# A list that cannot be refreshed may still do.
apt update || true
# shellcheck disable=SC2086
apt install -y --no-install-recommends $missing
