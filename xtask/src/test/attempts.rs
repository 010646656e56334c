//! What the output of cargo's tests says of a run: which tests failed, and whether that is all.

/// How many tests may be tried again. A machine that stands still for a moment makes one or two of those fail that start programs; if more
/// fail, it is something else.
const MAX_AGAIN: usize = 4;

/// What was heard of a run.
#[derive(Default)]
pub struct Attempt {
    failed: Vec<String>,
    /// How many failed, as the programs with the tests count them at their ends.
    counted: usize,
    /// Programs that have begun, and those that have come to their end.
    begun: usize,
    ended: usize,
}

impl Attempt {
    /// The next line of the output.
    pub fn hear(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... FAILED")) {
            self.failed.push(name.to_owned());
        } else if line.starts_with("running ") && (line.ends_with(" tests") || line.ends_with(" test")) {
            self.begun += 1;
        } else if let Some(result) = line.strip_prefix("test result: ") {
            self.ended += 1;
            let failed = result.split(';').find_map(|part| part.trim().strip_suffix(" failed"));
            self.counted += failed.and_then(|count| count.parse::<usize>().ok()).unwrap_or_default();
        }
    }

    /// The tests that failed, if they are few and nothing else went wrong: no program was killed, and each failure is known by its name.
    pub fn again(&self) -> Option<&[String]> {
        let is_known = self.counted == self.failed.len() && self.begun == self.ended;
        (is_known && (1..=MAX_AGAIN).contains(&self.failed.len())).then_some(&self.failed[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(output: &str) -> Option<Vec<String>> {
        let mut attempt = Attempt::default();
        output.lines().for_each(|line| attempt.hear(line));
        attempt.again().map(<[String]>::to_vec)
    }

    const ONE: &str = "running 2 tests\ntest a::b ... ok\ntest a::c ... FAILED\n\nfailures:\n    a::c\n\ntest result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s\n";
    const NONE: &str =
        "running 1 test\ntest d ... ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s\n";

    #[test]
    fn few_tests_that_fail_are_tried_again() {
        assert_eq!(again(&format!("{ONE}{NONE}")), Some(vec!["a::c".to_owned()]));
        assert_eq!(again(&ONE.repeat(MAX_AGAIN)).map(|names| names.len()), Some(MAX_AGAIN));
    }

    #[test]
    fn nothing_is_tried_again_where_it_may_hide_something() {
        assert_eq!(again(NONE), None, "nothing failed by name");
        assert_eq!(again(""), None, "nothing was compiled");
        assert_eq!(again(&ONE.repeat(MAX_AGAIN + 1)), None, "too many");
        assert_eq!(again(&format!("{ONE}running 3 tests\ntest e ... ok\n")), None, "a program was killed");
        assert_eq!(again(&ONE.replace("1 failed", "2 failed")), None, "one of them has no name");
    }
}
