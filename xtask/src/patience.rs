//! Questions to programs that answer late: a broker or a Prometheus on a busy machine.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Instant, sleep};

/// Pause between two questions.
const PAUSE: Duration = Duration::from_millis(500);

/// Asks again until the answer is what is expected. No question begins later than `limit` after the first.
///
/// # Errors
/// What was wrong with the last answer.
pub async fn until_answered<T>(limit: Duration, mut ask: impl AsyncFnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let begun = Instant::now();
    let mut asked = 0_u32;
    loop {
        asked += 1;
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) if begun.elapsed() + PAUSE >= limit => {
                return Err(error).with_context(|| format!("asked {asked} times in {:.0?}", begun.elapsed()));
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
    }

    #[test]
    fn who_answers_late_has_answered() {
        let mut asked = 0;
        let answer = block_on(until_answered(Duration::from_secs(60), async || {
            asked += 1;
            if asked == 1 { bail!("Timed out waiting to send the call") } else { Ok(asked) }
        }));
        assert_eq!(answer.expect("an answer"), 2);
    }

    #[test]
    fn who_never_answers_is_asked_until_the_limit_and_the_last_complaint_is_told() {
        let mut asked = 0;
        let limit = PAUSE * 2;
        let answer = block_on(until_answered::<()>(limit, async || {
            asked += 1;
            bail!("complaint {asked}")
        }));
        let told = format!("{:#}", answer.expect_err("no answer"));
        assert!(told.starts_with(&format!("asked {asked} times in ")) && told.ends_with(&format!(": complaint {asked}")), "{told}");
        assert!(asked > 1, "asked again");
    }
}
