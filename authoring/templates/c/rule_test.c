#include "rule.h"

#include <stdio.h>

static int failed = 0;

static void expect(bool holds, const char *what) {
  printf("%s: %s\n", holds ? "ok" : "FAILED", what);
  failed += !holds;
}

int main(void) {
  double score;
  expect(rule_check(250, 1000, &score) && score == 0.25, "small totals are scored");
  expect(!rule_check(1000.01, 1000, &score), "large totals are over the limit");
  return failed > 0;
}
