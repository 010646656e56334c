// A step: what is over the limit is rejected with a reason, the rest gets a score.
import * as log from "millrace:step/log@0.1.0";
import type { Description, Failure, Job, Outcome } from "millrace:step/types@0.1.0";
import { check } from "./rule";

const configSchema = {
  type: "object",
  additionalProperties: false,
  properties: { limit: { type: "number", exclusiveMinimum: 0, default: 1000 } },
};

/** What the component is. */
export function describe(): Description {
  return { name: "{{name}}", version: "0.1.0", summary: "Rejects what is over a limit, and scores the rest.", configSchema: JSON.stringify(configSchema) };
}

/** One attempt. Throw {tag: "transient", val} if it may work the next time, {tag: "permanent", val} if it never will. */
export function process(job: Job): Outcome {
  const data = JSON.parse(job.data) as { total?: unknown };
  const { limit = 1000 } = JSON.parse(job.config) as { limit?: number };
  if (typeof data.total !== "number") throw { tag: "permanent", val: "there is no total to look at" } satisfies Failure;
  const { isFine, score } = check(data.total, limit);
  log.write("info", `total ${data.total}, score ${score}`);
  if (!isFine) {
    const reason = `What is over ${limit} needs a person to look at it.`;
    return { tag: "rejected", val: { code: "over_limit", reason, details: JSON.stringify({ score }) } };
  }
  return { tag: "accepted", val: JSON.stringify({ score, checked_by: "{{name}}" }) };
}
