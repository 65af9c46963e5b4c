# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Errors that reach a user as one sentence.

Utils raise these; only a plugin's ``main()`` or ``run()`` turns them into a failure, so that no trace of Python is ever shown
for something that the user can put right.
"""

from __future__ import annotations


class LabError(Exception):
    """Something that the user can put right; ``str()`` is one sentence: what was wrong, where, the allowed range, the way out."""


class InvalidValueError(LabError):
    """A value from the user lies outside what is allowed; raised before anything was changed."""


class ParseError(LabError):
    """The output of a tool is not in a form that we know; carries the first lines of the text."""

    def __init__(self, tool: str, reason: str, text: str = "") -> None:
        """Keep the tool's name and the beginning of what it printed.

        :param tool: name of the tool whose output was read.
        :param reason: what was expected and not found, without a full stop.
        :param text: the raw output; only its first 200 characters are shown.
        """
        shown = " ".join(text.split())[:200]
        super().__init__(f"{tool}: {reason}" + (f"; it printed: {shown!r}" if shown else "; it printed nothing"))
        self.tool = tool


class CommandError(LabError):
    """A command that must succeed did not."""


class MissingCapabilityError(LabError):
    """This node cannot do what was asked for; names what is missing and which experiment it rules out."""
