#!/bin/sh
# Puts the data views and saved searches of objects.ndjson into Kibana, over those of the same ids: safe to run again.
# KIBANA_URL: where it is (…/s/NAME for a space of its own). KIBANA_USER, KIBANA_PASSWORD: a login, where it asks for one.
# KIBANA_WAIT: seconds to wait until it is healthy (300).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
fail() { printf '%s\n' "kibana: $*" >&2; exit 1; }

[ -n "${KIBANA_URL:-}" ] || fail "KIBANA_URL is not set: name Kibana's address, as in KIBANA_URL=http://127.0.0.1:5601"
command -v curl >/dev/null || fail "curl is not there: install it"
url=${KIBANA_URL%/}

# The login goes in by standard input: what stands in a command's arguments every user of the machine can read.
ask() {
    if [ -n "${KIBANA_USER:-}" ]; then
        printf 'user = "%s:%s"\n' "$KIBANA_USER" "${KIBANA_PASSWORD:-}" | curl --silent --max-time 30 --config - "$@"
    else
        curl --silent --max-time 30 "$@"
    fi
}

waited=0
until ask --fail "$url/api/status" 2>/dev/null | grep -q '"overall":{"level":"available"'; do
    [ "$waited" -lt "${KIBANA_WAIT:-300}" ] || fail "$url is not healthy after $waited s: see Kibana's log, and KIBANA_USER and KIBANA_PASSWORD"
    sleep 2
    waited=$((waited + 2))
done

answer=$(ask --request POST "$url/api/saved_objects/_import?overwrite=true" --header 'kbn-xsrf: true' --form "file=@$here/objects.ndjson") \
    || fail "$url did not take the saved objects: it cannot be reached"
case $answer in
    *'"success":true'*) printf '%s\n' "kibana: data views and saved searches are in $url" ;;
    *) fail "$url did not take the saved objects: $answer" ;;
esac
