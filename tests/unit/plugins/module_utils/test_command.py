# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How commands are started."""

from __future__ import annotations

import sys

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.command import Completed, runner_of
from ansible_collections.datapath.lab.plugins.module_utils.errors import CommandError

# The runner must not use run_command of the module, which loses output now and then: it has none here.
run = runner_of(object())


def python(program: str, **more: object) -> Completed:
    """Run a Python program."""
    return run([sys.executable, "-c", program], **more)


def test_output_and_status() -> None:
    done = python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert (done.rc, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_all_output_of_a_command_that_prints_as_it_ends() -> None:
    assert len(python("import os, time; time.sleep(1); os.write(1, b'x' * 50000); os._exit(0)").stdout) == 50000


def test_much_input_and_many_complaints() -> None:
    lines = "line\n" * 100000
    done = python("import sys\nfor line in sys.stdin: print('no: ' + line, file=sys.stderr, end='')", stdin=lines)
    assert done.stderr.count("no: ") == 100000


def test_without_input_there_is_none_to_wait_for() -> None:
    assert python("import sys; print(repr(sys.stdin.read()))").stdout == "''\n"


def test_the_environment_is_c_and_what_was_given() -> None:
    done = python("import os; print(os.environ['LC_ALL'], os.environ['WORD'], 'PATH' in os.environ)", environ={"WORD": "w"})
    assert done.stdout == "C w True\n"


def test_bytes_that_are_no_text_are_kept() -> None:
    assert python("import os; os.write(1, b'a\\xff')").stdout.encode("utf-8", "surrogateescape") == b"a\xff"


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(CommandError, match="Could not start '/nonexistent': No such file"):
        run(["/nonexistent"])


def test_what_a_command_said_last() -> None:
    with pytest.raises(CommandError, match="Could not count: .* ended with status 2 and said: last"):
        python("import sys; print('first\\nlast', file=sys.stderr); sys.exit(2)").require("count")
