#!/usr/bin/env bash
# Asks for known vulnerabilities of what is installed in .venv; where nobody can answer it says so and passes.
set -euo pipefail
cd "$(dirname "$0")/.."

unanswered() { echo "everywire: no answer about known vulnerabilities here ($1); only the bans were checked" >&2; }

code=0
report=$(.venv/bin/pip-audit --local --skip-editable --progress-spinner off 2>&1) || code=$?
if grep -q '^msgspec .*could not be audited' <<<"$report"; then
    unanswered "the package index does not know msgspec"
elif [ $code != 0 ] && grep -qiE 'ServiceError|ConnectionError|Max retries|timed? ?out|resolve' <<<"$report"; then
    unanswered "the service was not reached"
    code=0
else
    echo "$report"
fi
exit $code
