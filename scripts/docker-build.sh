#!/bin/sh
# Builds mod_tsgi and lays out the files of the Docker image below a directory:
#
#   docker-build.sh STAGING [PREFIX]
#
# PREFIX stands before every path in the configuration; it is empty in the image, where
# STAGING becomes the root directory. A test gives STAGING for both.
set -eu

staging=${1:?"Usage: $0 STAGING [PREFIX]"}
prefix=${2-}
root=$(cd "$(dirname "$0")/.." && pwd)

cd "$root"
node scripts/prepare.mjs
node scripts/install-tree.mjs "$staging/usr/lib/mod_tsgi"

mkdir -p "$staging/etc/mod_tsgi" "$staging/srv/app"
node_path=$(command -v node)
sed -e "s|@PREFIX@|$prefix|g" -e "s|@NODE@|$node_path|g" docker/httpd.conf.in \
    >"$staging/etc/mod_tsgi/httpd.conf"
cp docker/app/index.js docker/app/package.json "$staging/srv/app/"
chmod -R go+rX,go-w "$staging/etc/mod_tsgi" "$staging/srv/app"
