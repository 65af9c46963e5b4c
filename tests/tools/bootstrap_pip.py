# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Put pip into an empty virtual environment from the package index alone.

ansible-test fetches its bootstrap script from a server of its own, which a closed network does not reach; it takes this file
from its cache instead (the place that its own message names). Python's bundled pip installs the pinned one that ansible-test
asks for in its arguments.
"""

from __future__ import annotations

import subprocess
import sys

NOT_PIP_OPTIONS = ("--no-setuptools", "--no-wheel")

arguments = [argument for argument in sys.argv[1:] if argument not in NOT_PIP_OPTIONS]
subprocess.run([sys.executable, "-m", "ensurepip"], check=True)
subprocess.run([sys.executable, "-m", "pip", "install", *arguments], check=True)
