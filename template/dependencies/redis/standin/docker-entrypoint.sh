#!/bin/sh
set -eu

case "${1:-}" in
    -* | *.conf) set -- valkey-server "$@" ;;
esac
case "${1:-}" in
    valkey-server | redis-server) ;;
    *) exec "$@" ;;
esac

if [ "$(id -u)" = 0 ]; then
    chown -R valkey:valkey .
    exec setpriv --reuid=valkey --regid=valkey --clear-groups "$0" "$@"
fi

# The published image is compiled with this default.
case " $* " in
    *" --protected-mode "*) ;;
    *) set -- "$@" --protected-mode no ;;
esac
exec "$@"
