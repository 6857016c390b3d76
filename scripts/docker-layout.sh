#!/bin/sh
# Makes the one directory that Apache writes to in the Docker image: docker-layout.sh [PREFIX]
# As root it is given to www-data, whom the image runs as.
set -eu

run=${1-}/run/mod_tsgi
mkdir -p "$run"
chmod 0700 "$run"
if [ "$(id -u)" -eq 0 ]; then
    chown www-data:www-data "$run"
fi
