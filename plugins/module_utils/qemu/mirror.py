# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which Debian mirror the controller uses, as its own apt says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Sequence

from ansible_collections.datapath.lab.plugins.module_utils.errors import MissingCapabilityError, ParseError

# apt reads every form of its configuration (sources.list, deb822) and answers in this one.
INDEXTARGETS = ("apt-get", "indextargets", "--no-release-info", "--format", "$(REPO_URI)|$(RELEASE)|$(COMPONENT)", "Created-By: Packages")


@dataclass(frozen=True)
class Source:
    """One configured repository: ``uri`` without a trailing slash, ``suite`` such as bookworm-security, ``component``."""

    uri: str
    suite: str
    component: str


def parse_indextargets(text: str) -> List[Source]:
    """Read the answer to :data:`INDEXTARGETS`.

    Sample: ``http://mirror.example/debian/|bookworm-updates|main``
    """
    sources = []
    for line in text.splitlines():
        parts = line.split("|")
        if len(parts) != 3 or not parts[0]:
            raise ParseError("apt-get indextargets", "expected URI|SUITE|COMPONENT on each line", line)
        sources.append(Source(parts[0].rstrip("/"), parts[1], parts[2]))
    return sources


def archive_lines(
    sources: Sequence[Source], controller: str, codename: str, suite: str, mirror: Optional[str], security: Optional[str]
) -> List[str]:
    """Return the deb lines from which the guests' system is made.

    :param sources: what the controller's apt uses.
    :param controller: the controller's distribution, "debian" or "ubuntu": only Debian's own archive holds Debian's suites.
    :param codename: the controller's release, such as bookworm.
    :param suite: the guests' release, such as trixie.
    :param mirror: the user's choice, or None for the controller's.
    :param security: likewise for security updates; an empty string leaves them out.
    """
    main = mirror
    if not main and controller == "debian":
        main = next((source.uri for source in sources if source.suite == codename and source.component == "main"), None)
        if main is None:
            raise MissingCapabilityError(
                f"The controller's apt configuration names no archive for {codename} main, so there is no mirror to make the guests from; "
                "set lab_mirror."
            )
    if not main:
        raise MissingCapabilityError(
            f"The controller's own archive is {controller}'s and does not hold Debian {suite}, from which the guests are made; "
            "set lab_mirror to a Debian archive."
        )
    updates = security
    if updates is None and not mirror and controller == "debian":
        updates = next((source.uri for source in sources if source.suite == f"{codename}-security"), None)
    lines = [f"deb {main.rstrip('/')} {suite} main"]
    if updates:
        lines.append(f"deb {updates.rstrip('/')} {suite}-security main")
    return lines
