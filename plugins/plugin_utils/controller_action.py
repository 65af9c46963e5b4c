# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the actions that only touch the controller have in common: checked arguments, plain values, errors as one sentence."""

from __future__ import annotations

import json
from abc import abstractmethod
from typing import Any, Dict, Optional

from ansible.plugins.action import ActionBase
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError


class ControllerAction(ActionBase):
    """An action that runs on the controller and needs no connection; ``ARGUMENTS`` is its argument spec."""

    _requires_connection = False
    ARGUMENTS: Dict[str, Any] = {}
    RULES: Dict[str, Any] = {}

    @abstractmethod
    def act(self, arguments: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
        """Do the work; return the result, or raise :class:`LabError`."""

    def run(self, tmp: Any = None, task_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        """Check the arguments, do the work, and turn a :class:`LabError` into a failure with its sentence."""
        result: Dict[str, Any] = super().run(tmp, task_vars)
        _outcome, arguments = self.validate_argument_spec(argument_spec=self.ARGUMENTS, **self.RULES)
        # Values from templates carry tags of Ansible; what is written to a file is plain.
        plain = {key: json.loads(json.dumps(value)) for key, value in arguments.items()}
        try:
            result.update(self.act(plain, bool(self._task.check_mode)))
        except LabError as error:
            result.update(failed=True, msg=str(error))
        return result
