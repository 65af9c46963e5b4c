# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one way in which this collection starts a command: an argv list and a result that holds its text.

The runner is injected everywhere, so that all logic is tested without root and without the tool being installed.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import Any, Callable, Optional, Sequence

from ansible_collections.datapath.lab.plugins.module_utils.errors import CommandError


@dataclass(frozen=True)
class Completed:
    """A command that has ended.

    ``argv``: what was started; ``rc``: exit status; ``stdout``, ``stderr``: decoded text.
    """

    argv: tuple[str, ...]
    rc: int
    stdout: str
    stderr: str

    def require(self, what: str) -> Completed:
        """Return self, or raise :class:`CommandError` with the tool's own last words if the exit status is not 0.

        :param what: the purpose, as in "list the IPVS services".
        """
        if self.rc == 0:
            return self
        said = (self.stderr.strip() or self.stdout.strip() or "nothing").splitlines()[-1]
        raise CommandError(f"Could not {what}: '{' '.join(self.argv)}' ended with status {self.rc} and said: {said}")


# Takes an argv and the text for standard input; never raises for a status other than 0.
Run = Callable[..., Completed]


def runner_of(module: Any) -> Run:
    """Return what starts commands for an Ansible module.

    Not ``AnsibleModule.run_command``: that writes all of stdin before it reads anything, so that a tool which complains line by line blocks
    for ever, and it loses what a command prints in the moment in which it ends at a whole second (it waits in steps of one second and
    then asks first whether the command has ended), as a measurement of exactly one second does.

    :param module: an ``AnsibleModule``.
    :returns: ``run(argv, stdin=None, environ=None) -> Completed``.
    """

    def run(argv: Sequence[str], stdin: Optional[str] = None, environ: Optional[dict[str, str]] = None) -> Completed:
        given: dict[str, Any] = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
        try:
            done = subprocess.run(
                list(argv), env={**os.environ, "LC_ALL": "C", **(environ or {})}, capture_output=True, check=False,
                encoding="utf-8", errors="surrogateescape", **given,
            )  # fmt: skip
        except OSError as exception:
            raise CommandError(f"Could not start '{argv[0]}': {exception.strerror or exception}.") from exception
        return Completed(tuple(argv), done.returncode, done.stdout, done.stderr)

    return run
