#!/usr/bin/env bash
# ansible-test sanity over what git tracks. It wants the tree at ansible_collections/datapath/lab and a home of its own for its caches.
source "$(dirname "$0")/steps.sh"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/datapath.lab/sanity
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/ansible_collections/datapath/lab
mkdir -p "$tree" "$cache/.ansible/test/cache"
cp tests/tools/bootstrap_pip.py "$cache/.ansible/test/cache/get_pip_24_2.py"
# The links in the root serve a checkout only; the built collection has none (build_ignore in galaxy.yml).
git ls-files --cached --others --exclude-standard -z -- ':!.collections' ':!lab' | xargs -0 cp -a --parents -t "$tree"
cd "$tree"
version=$("$BIN/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
# A pseudo terminal in CI has no locale but C.UTF-8; that warning is ansible-test's own.
HOME=$cache step "ansible-test sanity" "$BIN/ansible-test" sanity --venv --python "$version" --color no
