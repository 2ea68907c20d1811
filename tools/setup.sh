#!/usr/bin/env bash
# Makes .venv when there is none and installs this project with the named extras; a second call is instant.
# Usage: tools/setup.sh EXTRA…     Environment: PYTHON, the interpreter for a new .venv (default python3).
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
stamp=.venv/everywire-setup # one line for the place, one "EXTRA HASH" for each extra installed from this pyproject.toml
say() { printf 'everywire: %s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

installed() { # whether all extras are in place as pyproject.toml has them now
    local extra
    for extra; do grep -qxsF "$extra $hash" "$stamp" || return 1; done
}

make_venv() {
    local recent='import sys; sys.exit(sys.version_info < (3, 11))'
    if command -v uv >/dev/null; then # uv also finds, or fetches, an interpreter that is new enough
        "$python" -c "$recent" 2>/dev/null || python='>=3.11'
        uv venv --quiet --python "$python" .venv
        return
    fi
    command -v "$python" >/dev/null || bash tools/debian.sh ":${python##*/}"
    "$python" -c "$recent" ||
        fail "needs Python 3.11 or newer, but $python is $("$python" -V 2>&1); name another: make PYTHON=python3.12 …"
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        case $python in python3) bash tools/debian.sh :python3-venv ;; *) bash tools/debian.sh ":${python##*/}-venv" ;; esac
    fi
    "$python" -m venv .venv
}

install_project() { # $1: the extras with commas
    if command -v uv >/dev/null; then
        uv pip install --quiet --python .venv/bin/python --editable ".[$1]"
    else
        .venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip >/dev/null # a venv by uv has no pip
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[$1]"
    fi
}

qt_package() { # the Debian package that holds a library Qt's wheel leaves to the system
    case $1 in
        libglib-2.0.so.0 | libgthread-2.0.so.0) echo libglib2.0-0 ;; # a virtual name where it is called libglib2.0-0t64
        libgssapi_krb5.so.2) echo libgssapi-krb5-2 ;;
        libbrotlidec.so.1 | libbrotlicommon.so.1) echo libbrotli1 ;;
        libzstd.so.1) echo libzstd1 ;;
        libz.so.1) echo zlib1g ;;
        libstdc++.so.6) echo libstdc++6 ;;
        *) fail "Qt needs $1, which this system lacks; install the package that holds it and call again" ;;
    esac
}

check_qt() { # QtCore, QtNetwork and QtRemoteObjects need no display libraries
    local imports='import PySide6.QtNetwork, PySide6.QtRemoteObjects' folder library packages=()
    .venv/bin/python -c "$imports" 2>/dev/null && return
    folder=$(.venv/bin/python -c 'import os, PySide6; print(os.path.dirname(PySide6.__file__))')
    while read -r library; do packages+=(":$(qt_package "$library")"); done < <(
        ldd "$folder"/Qt{Network,RemoteObjects}.*.so | awk '/=> not found/ { print $1 }' | sort -u
    )
    [ ${#packages[@]} = 0 ] || bash tools/debian.sh "${packages[@]}"
    .venv/bin/python -c "$imports" || fail "PySide6 is installed but cannot be imported; the line above says why"
}

hash=$(sha256sum pyproject.toml | cut -d' ' -f1)
[ $# -gt 0 ] || fail "usage: tools/setup.sh EXTRA…"
if [ -e "$stamp" ] && ! grep -qxF "at $PWD" "$stamp"; then
    say "this folder was moved; its .venv is made anew"
    rm -rf .venv
fi
if [ -x .venv/bin/python ] && installed "$@"; then exit 0; fi

if ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    rm -rf .venv # absent, half made, or its interpreter is gone or too old
    say "making .venv with $python"
    make_venv
fi
say "installing everywire[$(IFS=,; echo "$*")] into .venv (once)"
install_project "$(IFS=,; echo "$*")"
case " $* " in *' qt '*) check_qt ;; esac
{
    echo "at $PWD"
    { grep -s " $hash\$" "$stamp" || true; printf "%s $hash\n" "$@"; } | sort -u
} >"$stamp.new"
mv "$stamp.new" "$stamp"
