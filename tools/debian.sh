#!/usr/bin/env bash
# Installs missing Debian packages when root, otherwise names them in one line and fails.
# Usage: tools/debian.sh WHAT:PACKAGE…   WHAT is a command or an absolute path that shows that the package is there;
# without WHAT the package is known to be missing.
set -euo pipefail

missing=()
for pair; do
    what=${pair%%:*}
    case $what in
        '') present=false ;;
        /*) [ -e "$what" ] && present=true || present=false ;;
        *) command -v "$what" >/dev/null && present=true || present=false ;;
    esac
    $present || missing+=("${pair#*:}")
done
[ ${#missing[@]} -gt 0 ] || exit 0

packages=$(printf '%s\n' "${missing[@]}" | sort -u | paste -sd' ')
if ! command -v apt-get >/dev/null; then
    echo "everywire: this system lacks what Debian calls: $packages; install it and call again" >&2
    exit 1
elif [ "$(id -u)" != 0 ]; then
    echo "everywire: missing Debian packages; run: sudo apt-get install $packages" >&2
    exit 1
fi
echo "everywire: installing Debian packages: $packages" >&2
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086  # several words on purpose
apt-get install -qq -y --no-install-recommends $packages >/dev/null 2>&1 ||
    { apt-get update -qq && apt-get install -qq -y --no-install-recommends $packages >/dev/null; } ||
    { echo "everywire: apt-get could not install: $packages" >&2; exit 1; }
