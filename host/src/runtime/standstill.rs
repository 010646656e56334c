//! Whether a process still computes.
//!
//! How long something takes by the clock is told by the machine as much as by what is done: beside twenty others it takes ten times as long. So a
//! child that is bounded by its processor time is waited for as long as it uses any, and given up when it uses none.

use std::time::Duration;

use tokio::time::MissedTickBehavior;

/// Returns when a process has used no processor time from one look to the next for so many of them. Looks are counted rather than time: while
/// this process itself is stopped, or gets no turn, there are none. Where the system does not tell, it is taken for one that uses none.
pub(super) async fn stands_still(process: u32, between_looks: Duration, looks: u32) {
    let mut ticks = tokio::time::interval(between_looks);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut used, mut in_vain) = (None, 0);
    while in_vain < looks {
        ticks.tick().await;
        let now = processor_ticks(process);
        in_vain = if now == used { in_vain + 1 } else { 0 };
        used = now;
    }
}

/// What all threads of a process have computed, those that have ended included: in hundredths of a second on any Linux that we know.
fn processor_ticks(process: u32) -> Option<u64> {
    let told = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before them may have spaces in it.
    let mut fields = told.rsplit_once(") ")?.1.split(' ').skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_computes_has_used_more_than_before() {
        let before = processor_ticks(std::process::id()).unwrap();
        let mut sum = 0_u64;
        while processor_ticks(std::process::id()).unwrap() < before + 10 {
            sum = sum.wrapping_mul(31).wrapping_add(1);
        }
        assert_eq!(processor_ticks(u32::MAX), None, "no process has this number: {sum}");
    }
}
