#!/bin/bash
set -euo pipefail

if [[ ${1:-} == -* ]]; then
    set -- postgres "$@"
fi
if [[ ${1:-} != postgres || ${2:-} == --version || ${2:-} == --help ]]; then
    exec "$@"
fi

if ((EUID == 0)); then
    mkdir -p "$PGDATA"
    # A tmpfs on the volume belongs to root.
    chown -R postgres:postgres /var/lib/postgresql "$PGDATA"
    chmod 700 "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

if [[ ! -s $PGDATA/PG_VERSION ]]; then
    user=${POSTGRES_USER:-postgres}
    database=${POSTGRES_DB:-$user}
    if [[ -z ${POSTGRES_PASSWORD:-} && ${POSTGRES_HOST_AUTH_METHOD:-} != trust ]]; then
        echo "Set POSTGRES_PASSWORD, or POSTGRES_HOST_AUTH_METHOD=trust to do without one." >&2
        exit 1
    fi

    # declare reads the quotes inside the variable, as a command line would.
    declare -a initdb_args="(${POSTGRES_INITDB_ARGS:-})"
    initdb --username="$user" \
        --pwfile=<(printf '%s\n' "${POSTGRES_PASSWORD:-}") \
        "${initdb_args[@]}"
    echo "host all all all ${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >>"$PGDATA/pg_hba.conf"

    # On the socket only: a health check over TCP must not see this server.
    pg_ctl --wait --options="$(printf '%q ' "${@:2}" -c listen_addresses=)" start
    export PGUSER=$user PGPASSWORD=${POSTGRES_PASSWORD:-}
    psql=(psql --no-psqlrc --quiet --set ON_ERROR_STOP=1)
    if [[ $database != postgres ]]; then
        "${psql[@]}" --dbname postgres --set name="$database" <<<'CREATE DATABASE :"name"'
    fi
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
            *.sh) bash "$file" ;;
            *.sql) "${psql[@]}" --dbname "$database" --file "$file" ;;
        esac
    done
    pg_ctl --wait --mode=fast stop
    unset PGUSER PGPASSWORD
fi

exec "$@"
