import assert from "node:assert/strict";
import { test } from "node:test";
import { check } from "./rule.js";

test("small totals are scored", () => {
  assert.deepEqual(check(250, 1000), { isFine: true, score: 0.25 });
});

test("large totals are over the limit", () => {
  assert.equal(check(1000.01, 1000).isFine, false);
});
