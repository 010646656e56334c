// Package export_wit_world is a step: what is over the limit is rejected with a reason, the rest gets a score. The bindings ask for this
// name of the package.
package export_wit_world

import (
	"encoding/json"
	"fmt"

	"example.com/{{name}}/bindings/millrace_step_log"
	. "example.com/{{name}}/bindings/millrace_step_types"
	"example.com/{{name}}/rule"

	. "go.bytecodealliance.org/pkg/wit/types"
)

const configSchema = `{
	"type": "object",
	"additionalProperties": false,
	"properties": {"limit": {"type": "number", "exclusiveMinimum": 0, "default": 1000}}
}`

// Describe says what the component is.
func Describe() Description {
	return Description{
		Name: "{{name}}", Version: "0.1.0", Summary: "Rejects what is over a limit, and scores the rest.", ConfigSchema: configSchema,
	}
}

// Process is one attempt.
func Process(job Job) Result[Outcome, Failure] {
	outcome, err := process(job)
	if err != nil {
		// It will never work. MakeFailureTransient is for what may work the next time.
		return Err[Outcome](MakeFailurePermanent(err.Error()))
	}
	return Ok[Outcome, Failure](outcome)
}

func process(job Job) (outcome Outcome, err error) {
	var data struct{ Total *float64 }
	config := struct{ Limit float64 }{1000}
	if err := json.Unmarshal([]byte(job.Data), &data); err != nil {
		return outcome, fmt.Errorf("data: %w", err)
	}
	if err := json.Unmarshal([]byte(job.Config), &config); err != nil {
		return outcome, fmt.Errorf("config: %w", err)
	}
	if data.Total == nil {
		return outcome, fmt.Errorf("there is no total to look at")
	}
	isFine, score := rule.Check(*data.Total, config.Limit)
	millrace_step_log.Write(millrace_step_log.LevelInfo, fmt.Sprintf("total %v, score %v", *data.Total, score))
	if !isFine {
		reason := fmt.Sprintf("What is over %v needs a person to look at it.", config.Limit)
		return MakeOutcomeRejected(Rejection{Code: "over_limit", Reason: reason, Details: object(map[string]any{"score": score})}), nil
	}
	return MakeOutcomeAccepted(object(map[string]any{"score": score, "checked_by": "{{name}}"})), nil
}

func object(members map[string]any) string {
	text, _ := json.Marshal(members)
	return string(text)
}
