// Package rule is the rule, without a sandbox.
package rule

import "math"

// Check tells whether a total is within the limit, and how near it is, from 0 to 1.
func Check(total, limit float64) (isFine bool, score float64) {
	return total <= limit, math.Round(math.Min(total/limit, 1)*1000) / 1000
}
