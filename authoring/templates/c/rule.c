#include "rule.h"

#include <math.h>

bool rule_check(double total, double limit, double *score) {
  *score = round(fmin(total / limit, 1) * 1000) / 1000;
  return total <= limit;
}
