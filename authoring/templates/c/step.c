// A step: what is over the limit is rejected with a reason, the rest gets a score.
#include "bindings/step.h"
#include "rule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char config_schema[] =
    "{\"type\":\"object\",\"additionalProperties\":false,"
    "\"properties\":{\"limit\":{\"type\":\"number\",\"exclusiveMinimum\":0,\"default\":1000}}}";

// The number of a member of the object itself, or `otherwise`. A step that reads more brings a parser of JSON, such as yyjson.
static double number(step_string_t json, const char *key, double otherwise) {
  int depth = 0;
  for (size_t i = 0; i < json.len; i++) {
    char c = (char)json.ptr[i];
    if (c == '{' || c == '[') depth++;
    if (c == '}' || c == ']') depth--;
    if (c != '"') continue;
    size_t from = ++i;
    while (i < json.len && json.ptr[i] != '"') i += json.ptr[i] == '\\' ? 2 : 1;
    if (depth != 1 || i - from != strlen(key) || memcmp(json.ptr + from, key, i - from) != 0) continue;
    size_t at = i + 1;
    while (at < json.len && strchr(" \t\r\n", json.ptr[at])) at++;
    // A text with these words is no member.
    if (at == json.len || json.ptr[at++] != ':') continue;
    while (at < json.len && strchr(" \t\r\n", json.ptr[at])) at++;
    char text[40];
    size_t length = 0;
    while (at < json.len && length < sizeof text - 1 && strchr("+-.0123456789eE", json.ptr[at])) text[length++] = (char)json.ptr[at++];
    text[length] = 0;
    return length > 0 ? strtod(text, NULL) : otherwise;
  }
  return otherwise;
}

// What the component is.
void exports_step_describe(step_description_t *ret) {
  step_string_dup(&ret->name, "{{name}}");
  step_string_dup(&ret->version, "0.1.0");
  step_string_dup(&ret->summary, "Rejects what is over a limit, and scores the rest.");
  step_string_dup(&ret->config_schema, config_schema);
}

// One attempt. MILLRACE_STEP_TYPES_FAILURE_TRANSIENT is for what may work the next time, PERMANENT for what never will.
bool exports_step_process(step_job_t *job, step_outcome_t *ret, step_failure_t *err) {
  double total = number(job->data, "total", -1), limit = number(job->config, "limit", 1000), score;
  step_job_free(job);
  if (total < 0) {
    err->tag = MILLRACE_STEP_TYPES_FAILURE_PERMANENT;
    step_string_dup(&err->val.permanent, "there is no total to look at");
    return false;
  }
  char text[128];
  bool is_fine = rule_check(total, limit, &score);
  snprintf(text, sizeof text, "total %g, score %g", total, score);
  step_string_t line;
  step_string_set(&line, text);
  millrace_step_log_write(MILLRACE_STEP_LOG_LEVEL_INFO, &line);
  if (is_fine) {
    ret->tag = MILLRACE_STEP_TYPES_OUTCOME_ACCEPTED;
    snprintf(text, sizeof text, "{\"score\":%g,\"checked_by\":\"{{name}}\"}", score);
    step_string_dup(&ret->val.accepted, text);
    return true;
  }
  ret->tag = MILLRACE_STEP_TYPES_OUTCOME_REJECTED;
  step_string_dup(&ret->val.rejected.code, "over_limit");
  snprintf(text, sizeof text, "What is over %g needs a person to look at it.", limit);
  step_string_dup(&ret->val.rejected.reason, text);
  snprintf(text, sizeof text, "{\"score\":%g}", score);
  step_string_dup(&ret->val.rejected.details, text);
  return true;
}
