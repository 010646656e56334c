import unittest

from rule import check


class RuleTest(unittest.TestCase):
    def test_small_totals_are_scored(self):
        self.assertEqual(check(250, 1000), (True, 0.25))

    def test_large_totals_are_over_the_limit(self):
        self.assertFalse(check(1000.01, 1000)[0])
