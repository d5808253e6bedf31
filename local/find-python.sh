#!/bin/sh
# find-python.sh [PYTHON]: print the first Python of 3.11 or newer that can make a virtual environment, or say in one line what is missing.
set -u
seen=
for python in ${1:-python3 python3.13 python3.12 python3.11}; do
    # Asked, not trusted: a pyenv shim is there for versions that are not.
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
    case $version in
    [012].* | 3.? | 3.10)
        seen="$seen $python is $version;"
        ;;
    *)
        if "$python" -c 'import ensurepip, venv' 2>/dev/null; then
            "$python" -c 'import sys; print(sys.executable)'
            exit 0
        fi
        seen="$seen $python $version has no venv (on Debian and Ubuntu: apt install python$version-venv);"
        ;;
    esac
done
echo "Tributary needs Python 3.11 or newer:${seen:- none was found;} install one, or name it: make PYTHON3=/path/to/python3.12" >&2
exit 1
