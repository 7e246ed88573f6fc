#!/bin/sh
# Prepares a fresh machine, step by step: `sh init.sh`. Safe to run again; needs no root; touches no other Python than .venv.
set -eu
cd "$(dirname "$0")"

say() { printf '%s\n' "init: $*"; }
fail() { printf '%s\n' "init: $*" >&2; exit 1; }

# 1. A Python 3.11. Each name is tried by running it: a version manager's shim may be there and run nothing.
is_3_11='import sys; sys.exit(sys.version_info[:2] != (3, 11))'
python=
for candidate in "${PYTHON:-python3.11}" python3.11 python3 python /usr/bin/python3.11; do
    if "$candidate" -c "$is_3_11" >/dev/null 2>&1; then python=$candidate; break; fi
done

# 2. The virtual environment.
if [ -x .venv/bin/python ] && .venv/bin/python -c "$is_3_11" >/dev/null 2>&1 && .venv/bin/python -m pip --version >/dev/null 2>&1; then
    say ".venv is there ($(.venv/bin/python --version))"
else
    [ -n "$python" ] || fail "no Python 3.11 found (python3 is $(python3 --version 2>&1 || echo 'not there')). Install it, or name it: PYTHON=/path/to/python3.11 sh init.sh"
    [ ! -e .venv ] || fail ".venv is no working Python 3.11 environment. Remove it (rm -r .venv) and run this again"
    say "making .venv with $("$python" --version)"
    "$python" -m venv .venv || { rm -rf .venv; fail "$python cannot make a virtual environment. On Debian: apt install python3.11-venv"; }
fi

# 3. What it needs, at the versions and hashes of requirements.lock.
if [ .venv/.ready -nt requirements.txt ] && [ .venv/.ready -nt requirements.lock ] && [ .venv/.ready -nt init.sh ]; then
    say "requirements are installed"
else
    say "installing requirements.lock (a minute or so) …"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r requirements.lock \
        || fail "pip could not install requirements.lock: see above; run this again when that is mended"
    cp app/process/end_when_asked.pth "$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
    touch .venv/.ready
    say "requirements are installed"
fi

# 4. Settings of this machine.
if [ -e .env ]; then say ".env is there"; else (umask 077; cp .env.example .env); say "made .env from .env.example: all defaults"; fi
# It may hold passwords.
chmod o-rwx .env || fail ".env belongs to another user: it must not be readable by everybody"

# 5. Where all state lives.
data_dir=$(.venv/bin/python -c 'from app.settings import settings; print(settings().data_dir)') || fail "a setting is wrong: see above"
(umask 077; mkdir -p "$data_dir") || fail "the data folder $data_dir cannot be made: set WEBLOGS_DATA_DIR"
[ -w "$data_dir" ] || fail "the data folder $data_dir cannot be written to: set WEBLOGS_DATA_DIR"
say "data folder: $data_dir"

# 6. What the brokers and stores of the settings lack. It waits until each answers, and deletes nothing. On the embedded default: nothing.
engines=$(.venv/bin/python -c 'from app.settings import settings; s = settings()
print(*[n for n, on in (("Kafka", s.on_kafka), *((n, n in s.store_names) for n in ("elasticsearch", "cassandra"))) if on])')
if [ -n "$engines" ]; then
    say "preparing: $engines"
    .venv/bin/python -m app init || fail "not everything could be prepared: see above; run this again when that is mended"
else
    say "embedded log and store: the worker makes their files"
fi

# 7. Data views and saved searches, where Kibana is named. It is waited for, too.
if [ -n "${KIBANA_URL:-}" ]; then sh docker/kibana/import.sh || fail "Kibana was not prepared: see above"; fi
say "ready: make run"
