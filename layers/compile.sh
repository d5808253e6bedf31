#!/bin/sh
# compile.sh VERSION [FOLDER]: ship a layer with bytecode, so that a cold start need not compile. Bytecode is of one minor version, so it takes an interpreter of the
# runtime's; without one the layer works all the same. Without a folder: only say so. Unchecked, as the files of a published layer never change.
set -eu
version=$1
folder=${2:-}
found=$("${UV:-uv}" python find --no-python-downloads --no-project --no-config "$version" 2>/dev/null || true)
for python in "python$version" "$found" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version"*/bin/python; do
    # Asked, not trusted: a pyenv shim is there for versions that are not.
    if [ -n "$python" ] && [ "$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true)" = "$version" ]; then
        [ -z "$folder" ] || exec "$python" -m compileall -q -j 0 --invalidation-mode unchecked-hash -s "$folder" -p /opt/python "$folder"
        exit 0
    fi
done
echo "No python$version on this machine: the layers go without bytecode, and cold starts will be slower." >&2
