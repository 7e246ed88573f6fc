#!/bin/sh
# A kiosk that loses no vote: `samples/vote_client.sh CANDIDATE [OPINION]`, with curl alone.
#
# Each vote goes to a spool first, with its id and time; the spool is sent, oldest first, until the worker has taken it. A vote that
# is sent twice counts once, because it keeps its id. Run it again without arguments to send what is left.
#   VOTES_URL   default http://127.0.0.1:5000    KIOSK   default the host's name    SPOOL   default ./votes-spool
set -eu
url=${VOTES_URL:-http://127.0.0.1:5000}
kiosk=${KIOSK:-$(uname -n)}
spool=${SPOOL:-./votes-spool}
mkdir -p "$spool"

if [ $# -gt 0 ]; then
    id="$kiosk-$(date +%s)-$$"
    printf 'candidate_id=%s&vote_id=%s&kiosk_id=%s&vote_time=%s' "$1" "$id" "$kiosk" "$(date +%s)" > "$spool/.new-$$"
    mv "$spool/.new-$$" "$spool/$(date +%s)-$$"
    if [ $# -gt 1 ]; then printf '%s' "$2" > "$spool/.opinion-$id"; fi
fi

for vote in "$spool"/*; do
    [ -f "$vote" ] || continue
    id=$(sed 's/.*vote_id=\([^&]*\).*/\1/' "$vote")
    set -- --data-binary "@$vote"
    if [ -f "$spool/.opinion-$id" ]; then set -- "$@" --data-urlencode "opinion@$spool/.opinion-$id"; fi
    code=$(curl -s -o "$spool/.answer" -w '%{http_code}' --max-time 10 "$@" "$url/vote/") || code=000
    case $code in
        200) rm -f "$vote" "$spool/.opinion-$id"; cat "$spool/.answer" ;;
        4*) echo "refused, moved to $spool/.refused: $(cat "$spool/.answer")" >&2; mkdir -p "$spool/.refused"; mv "$vote" "$spool/.refused/" ;;
        *) echo "not sent yet ($code), kept in $spool: run this again" >&2; exit 1 ;;
    esac
done
