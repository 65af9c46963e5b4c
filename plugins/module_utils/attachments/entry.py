# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules of attachments have in common: options, and the way from parameters to a result."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Sequence

from ansible_collections.datapath.lab.plugins.module_utils.attachments import apply, plan
from ansible_collections.datapath.lab.plugins.module_utils.attachments.model import Attachment, check_together
from ansible_collections.datapath.lab.plugins.module_utils.command import runner_of
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError

ROUTE = {"to": {"type": "str", "required": True}, "via": {"type": "str"}}
COMMON = {
    "name": {"type": "str", "required": True},
    "addresses": {"type": "list", "elements": "str", "default": []},
    "routes": {"type": "list", "elements": "dict", "default": [], "options": ROUTE},
    "mtu": {"type": "int"},
    "mac": {"type": "str"},
}


def run_module(module: Any, given: Sequence[Mapping[str, Any]], read: Callable[[Mapping[str, Any]], Attachment]) -> None:
    """Read the parameters, plan, carry out, report.

    :param module: the ``AnsibleModule``, with the option ``state``.
    :param given: one entry per attachment.
    :param read: makes an attachment of an entry.
    """
    present = module.params["state"] == "present"
    try:
        wanted = [read(entry) for entry in given]
        check_together(wanted)
        run = runner_of(module)
        have = apply.find(run, wanted)
        actions = plan.plan_present(have, wanted) if present else plan.plan_absent(have, wanted)
        if not module.check_mode:
            apply.carry_out(run, actions)
    except LabError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"Could not switch IPv4 forwarding: {error}; it takes root and a writable /proc/sys/net.")
    module.exit_json(
        changed=bool(actions),
        actions=[str(action) for action in actions],
        diff={"before": plan.have_as_dict(have, wanted), "after": plan.want_as_dict(wanted) if present else {}},
    )
