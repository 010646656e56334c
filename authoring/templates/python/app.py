"""A step: what is over the limit is rejected with a reason, the rest gets a score."""

import json

import wit_world
from componentize_py_types import Err
from wit_world.imports import log, types

from rule import check

CONFIG_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"limit": {"type": "number", "exclusiveMinimum": 0, "default": 1000}},
}


class WitWorld(wit_world.WitWorld):
    def describe(self) -> types.Description:
        """What the component is."""
        return types.Description("{{name}}", "0.1.0", "Rejects what is over a limit, and scores the rest.", json.dumps(CONFIG_SCHEMA))

    def process(self, job: types.Job) -> types.Outcome:
        """One attempt. Raise Err(types.Failure_Transient(...)) if it may work the next time, Failure_Permanent if it never will."""
        data, config = json.loads(job.data), json.loads(job.config)
        total, limit = data.get("total"), config.get("limit", 1000)
        if not isinstance(total, (int, float)):
            raise Err(types.Failure_Permanent("there is no total to look at"))
        is_fine, score = check(total, limit)
        log.write(log.Level.INFO, f"total {total}, score {score}")
        if not is_fine:
            reason = f"What is over {limit} needs a person to look at it."
            return types.Outcome_Rejected(types.Rejection("over_limit", reason, json.dumps({"score": score})))
        return types.Outcome_Accepted(json.dumps({"score": score, "checked_by": "{{name}}"}))
