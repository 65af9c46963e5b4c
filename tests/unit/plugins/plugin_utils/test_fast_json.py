# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The journal's reader: the same values with and without orjson."""

from __future__ import annotations

import builtins
import gc
import importlib
import json
import math
import sys
from typing import Any, Callable

import pytest
from ansible_collections.datapath.lab.plugins.plugin_utils import fast_json
from hypothesis import given
from hypothesis import strategies as st

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(params=["orjson", "json"])
def loads(request: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the reader, with orjson and on a controller that lacks it."""
    if request.param == "json":
        real = builtins.__import__

        def lacking(name: str, *more: Any, **words: Any) -> Any:
            if name == "orjson":
                raise ImportError(name)
            return real(name, *more, **words)

        monkeypatch.setattr(builtins, "__import__", lacking)
        monkeypatch.delitem(sys.modules, "orjson", raising=False)
    module = importlib.reload(fast_json)
    yield module.loads
    monkeypatch.undo()
    importlib.reload(fast_json)


def test_orjson_is_what_reads_here() -> None:
    assert "orjson" in fast_json.__dict__


@given(VALUES)
def test_it_reads_what_python_writes(value: Any) -> None:
    assert fast_json.loads(json.dumps(value, ensure_ascii=False).encode()) == value


def test_both_read_the_same(loads: Callable[[bytes], Any]) -> None:
    assert loads('{"a": [1, 2.5, "µs", null, true]}\n'.encode()) == {"a": [1, 2.5, "µs", None, True]}
    assert math.isnan(loads(b'{"a": NaN}')["a"])


@pytest.mark.parametrize("line", [b'{"a": 1', b"", b"\xff\xfe\n", b'{"a": 1} x'])
def test_both_refuse_what_is_no_json(loads: Callable[[bytes], Any], line: bytes) -> None:
    with pytest.raises(ValueError):
        loads(line)


@pytest.mark.parametrize("collecting", [True, False])
def test_the_collector_is_left_as_it_was(collecting: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if collecting else gc.disable)()
        with pytest.raises(KeyError), fast_json.without_collection():
            assert not gc.isenabled()
            raise KeyError
        assert gc.isenabled() == collecting
    finally:
        (gc.enable if before else gc.disable)()
