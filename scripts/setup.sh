#!/bin/sh
# Installs the system packages that mod_tsgi is built and tested with, if they are missing:
# Apache httpd with its development files, a compiler, CMake, libuv's header.
# Does nothing when all is there. Without root or passwordless sudo it prints the one
# command to run and exits with status 1.
#
# With --check it never installs, it only tells.
#
# Debian 12, Debian 13, Ubuntu 24.04. Elsewhere it names what is missing.
#
# apache2-bin and not apache2: the latter starts a system service, which is not ours to do.
set -eu

say() {
    printf '%s\n' "$*" >&2
}

has() {
    command -v "$1" >/dev/null 2>&1
}

has_header() {
    for directory in /usr/include /usr/local/include; do
        [ -e "$directory/$1" ] && return 0
    done
    return 1
}

check_node() {
    if ! has node; then
        say "Node.js was not found: mod_tsgi needs Node.js 20.19 or newer."
        exit 1
    fi
    # shellcheck disable=SC2016 # the program is JavaScript
    if ! node -e '
        const [major, minor] = process.versions.node.split(".").map(Number);
        process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1);'; then
        say "mod_tsgi needs Node.js 20.19 or newer, this is $(node -v) ($(command -v node))."
        exit 1
    fi
}

# Fills $missing (what, for people) and $packages (what, for apt).
missing=
packages=
need() {
    missing="$missing${missing:+, }$1"
    packages="$packages${packages:+ }$2"
}

find_missing() {
    has apache2 || has httpd || need "Apache httpd" apache2-bin
    has apxs || has apxs2 || need "apxs" apache2-dev
    if ! has cc || ! has c++; then
        need "a C and C++ compiler" "g++"
    fi
    has make || has ninja || need "make" make
    has cmake || need "cmake" cmake
    has_header uv.h || need "uv.h" libuv1-dev
    has openssl || need "openssl, which makes the certificates of the tests" openssl
}

# httpd lives in /usr/sbin, which is not on the path of every user.
PATH=$PATH:/usr/sbin:/usr/local/sbin:/sbin
export PATH

check_only=
case ${1-} in
    '') ;;
    --check) check_only=1 ;;
    *)
        say "Usage: $0 [--check]"
        exit 2
        ;;
esac

check_node
find_missing
[ -n "$missing" ] || exit 0

if ! has apt-get; then
    say "Missing: $missing. Please install what provides it: there is no apt-get here to do it."
    exit 1
fi

sudo=none
if [ "$check_only" ]; then
    :
elif [ "$(id -u)" -eq 0 ]; then
    sudo=
elif has sudo && sudo -n true 2>/dev/null; then
    sudo=sudo
fi
if [ "$sudo" = none ]; then
    say "Missing: $missing. Please run this command once, then try again:"
    say "    sudo apt-get install -y --no-install-recommends $packages"
    exit 1
fi

say "Missing: $missing. Installing $packages."
DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND
# Lists that cannot be refreshed may still be good enough to install from.
$sudo apt-get update -qq || true
# shellcheck disable=SC2086 # $sudo may be empty, $packages is a list of plain names
if ! $sudo env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends $packages >&2; then
    say "apt-get could not install $packages: see its message above."
    exit 1
fi

missing=
find_missing
if [ -n "$missing" ]; then
    say "Still missing after the installation: $missing."
    exit 1
fi
