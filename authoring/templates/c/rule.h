// The rule, without a sandbox.
#ifndef RULE_H
#define RULE_H

#include <stdbool.h>

// Whether a total is within the limit, and in `score` how near it is, from 0 to 1.
bool rule_check(double total, double limit, double *score);

#endif
