#!/bin/sh
# Installs the system packages of one stage of the Docker image:
#
#   docker-packages.sh build     what mod_tsgi is built with
#   docker-packages.sh runtime   what it runs with
#
# Does nothing when all is there.
set -eu

PATH=$PATH:/usr/sbin
export PATH

has() {
    command -v "$1" >/dev/null 2>&1
}

case ${1-} in
    build)
        packages="nodejs npm"
        has node && has npm && packages=
        ;;
    runtime)
        packages="apache2-bin nodejs"
        has apache2 && has node && packages=
        ;;
    *)
        echo "Usage: $0 build|runtime" >&2
        exit 2
        ;;
esac

if [ "$packages" ]; then
    DEBIAN_FRONTEND=noninteractive
    export DEBIAN_FRONTEND
    apt-get update -qq
    # shellcheck disable=SC2086 # a list of plain names
    apt-get install -y -qq --no-install-recommends $packages
fi
if [ "$1" = build ]; then
    "$(dirname "$0")/setup.sh"
fi
if [ "$packages" ]; then
    rm -rf /var/lib/apt/lists/*
fi
