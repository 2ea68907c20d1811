#!/usr/bin/env bash
# All tests as two processes side by side, with the branch coverage of both together.
# Usage: tools/test.sh MINIMUM [PYTEST ARGUMENT…]     MINIMUM: percent of coverage below which it fails.
# Not pytest-xdist: PySide6's loop ends a process with segmentation faults when execnet's thread is in it (6.12).
set -euo pipefail
cd "$(dirname "$0")/.."

python=.venv/bin/python minimum=$1
shift
first=(tests/conformance tests/dbus tests/laws tests/interop tests/sync tests/transport tests/tables) # about half of the time
rm -f .coverage .coverage.* .coverage-*

part() { # $1: name; the rest: for pytest
    local name=$1
    shift
    COVERAGE_FILE=.coverage-$name "$python" -m pytest -o cache_dir=".pytest_cache/$name" --cov --cov-report= "$@"
}

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
failed=0
part first "${first[@]}" "$@" >"$logs/first" 2>&1 &
part second tests "${first[@]/#/--ignore=}" "$@" 2>&1 | tee "$logs/second" || failed=1
wait $! || failed=1
cat "$logs/first"
"$python" -m coverage combine --quiet .coverage-first* .coverage-second*
"$python" -m coverage report --fail-under="$minimum" || failed=1
for half in second first; do # the last lines of the output say how it went
    grep -E '^(FAILED|ERROR) ' "$logs/$half" || true
    tail -n 1 "$logs/$half"
done
exit $failed
