//! The shortest schedule that still breaks the same invariant, as far as a number of runs allows.
//!
//! What a run comes to is not decided by its schedule alone, so a part that passes once is not proved innocent; what is returned has failed.

use crate::schedule::{Due, Schedule};

/// Leaves out halves, quarters and so on, as long as `fails` says that what is left still does. At most `runs` questions.
pub async fn shrink<F>(schedule: &Schedule, runs: u32, mut fails: F) -> anyhow::Result<Schedule>
where
    F: AsyncFnMut(&Schedule) -> anyhow::Result<bool>,
{
    let kept = shortest(&schedule.faults, runs, async |kept: &[Due]| fails(&schedule.with(kept.to_vec())).await).await?;
    Ok(schedule.with(kept))
}

/// The same of any list.
pub async fn shortest<T, F>(all: &[T], mut runs: u32, mut fails: F) -> anyhow::Result<Vec<T>>
where
    T: Clone,
    F: AsyncFnMut(&[T]) -> anyhow::Result<bool>,
{
    let mut kept = all.to_vec();
    let mut size = kept.len().div_ceil(2);
    while size > 0 && runs > 0 {
        let mut from = 0;
        while from < kept.len() && runs > 0 {
            let to = (from + size).min(kept.len());
            let without: Vec<T> = kept[..from].iter().chain(&kept[to..]).cloned().collect();
            runs -= 1;
            if fails(&without).await? {
                kept = without;
            } else {
                from = to;
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::schedule::Shape;

    #[tokio::test]
    async fn two_faults_that_break_it_together_are_what_is_left() {
        let whole = Schedule::of(Shape::Monolith, 5, Duration::from_secs(60));
        let needed = [whole.faults[3].clone(), whole.faults[20].clone()];
        let fails = async |schedule: &Schedule| Ok(needed.iter().all(|due| schedule.faults.contains(due)));
        let shortest = shrink(&whole, 1_000, fails).await.expect("no run fails");
        assert_eq!(shortest.faults, needed);
    }

    #[tokio::test]
    async fn it_stops_after_so_many_runs() {
        let whole = Schedule::of(Shape::Monolith, 5, Duration::from_secs(60));
        let mut asked = 0;
        let fails = async |_: &Schedule| {
            asked += 1;
            Ok(false)
        };
        assert_eq!(shrink(&whole, 3, fails).await.expect("no run fails"), whole);
        assert_eq!(asked, 3);
    }
}
