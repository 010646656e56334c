//! What every store promises, run on each back end; and what only a durable one can.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "this is a test, its functions are only not all marked so")]
#![expect(clippy::disallowed_methods, reason = "what a test spawns ends with it")]

mod accounts;
mod agreement;
mod audit;
mod commits;
mod copying;
mod durable;
mod finished;
mod group;
mod holds;
mod kv;
mod ledger;
mod outbox;
mod plans;
#[path = "../support/postgres.rs"]
mod postgres_server;
mod registry;
mod resources;
mod runs;
mod search;
mod server;
mod shop;
mod test_env;

macro_rules! on_each_store {
    ($($module:ident: $($name:ident),+;)+) => {
        mod sqlite {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    crate::$module::$name(crate::test_env::TestEnv::sqlite()).await;
                }
            )+)+
        }
        mod postgres {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    crate::$module::$name(crate::test_env::TestEnv::postgres()).await;
                }
            )+)+
        }
        mod memory {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    crate::$module::$name(crate::test_env::TestEnv::memory()).await;
                }
            )+)+
        }
    };
}

on_each_store! {
    audit:
        an_entry_is_written_with_its_change_and_has_its_versions,
        a_failed_write_leaves_no_entry,
        rows_are_a_chain_whoever_writes_at_once,
        a_row_that_is_not_as_it_was_is_found,
        entries_are_listed_newest_first_by_what_is_asked_for,
        nothing_of_it_is_ever_pruned;
    commits:
        a_created_resource_is_read_back,
        a_resource_is_created_once,
        a_change_needs_the_version_it_was_decided_on,
        owner_and_creation_time_never_change,
        attention_and_the_end_can_come_and_go,
        history_is_read_after_a_sequence_number,
        history_is_read_in_pages_from_either_end,
        deadlines_come_and_go_with_the_change_that_has_them,
        a_conflicting_commit_writes_nothing_at_all,
        neighbours_of_a_conflicting_commit_succeed,
        of_many_changes_of_one_version_one_wins,
        another_resource_moves_with_a_commit_or_nothing_does,
        what_is_committed_together_is_there_together,
        many_callers_see_what_they_were_answered,
        an_event_has_its_effect_once,
        since_when_it_is_known_what_was_handled_is_known,
        an_idempotency_key_has_one_winner,
        a_run_key_and_a_history_number_are_taken_once;
    resources:
        pages_by_cursor_have_no_gap_and_no_repetition,
        pages_by_id_are_ascending,
        a_listing_shows_one_owner_only,
        a_resource_without_workflow_is_deleted_with_its_stock,
        deleting_needs_the_version,
        a_resource_with_a_workflow_is_not_deleted,
        how_far_an_instance_has_come_is_what_its_resource_says;
    search:
        what_is_searched_for_is_found_in_pages_whatever_is_asked,
        a_resource_is_found_by_what_its_data_is_now,
        a_resource_is_found_alike_by_who_says_what_it_was_and_who_does_not,
        notes_are_read_newest_first_and_go_with_their_resource,
        what_begins_in_a_state_that_counts_is_counted_when_it_is_made,
        what_is_made_and_reached_is_counted_by_the_minute;
    runs:
        due_runs_are_claimed_oldest_first,
        no_run_is_claimed_twice,
        runs_stand_in_lines_by_component_and_first_attempts_apart,
        a_run_is_claimed_by_its_key_while_it_is_ready,
        what_this_process_has_claimed_is_known,
        a_run_added_as_running_is_held_by_who_added_it,
        a_late_answer_is_discarded,
        an_answer_for_a_process_that_is_gone_is_discarded,
        a_settled_run_can_be_tried_again_later,
        runs_of_a_process_that_is_gone_become_ready,
        runs_of_this_process_are_not_recovered,
        a_run_that_kills_processes_is_parked,
        parked_runs_of_a_component_can_be_made_ready,
        runs_of_a_component_that_wait_can_be_made_due,
        stranded_runs_are_set_aside_until_the_next_start,
        runs_of_a_resource_are_listed_oldest_first,
        timers_are_replaced_by_every_change,
        timers_of_a_resource_come_earliest_first,
        timers_stay_when_only_a_run_is_settled,
        a_timer_is_added_where_nothing_changes_and_takes_no_later_ones_place,
        due_timers_come_earliest_first,
        a_stale_timer_is_dropped_but_not_its_successor;
    outbox:
        positions_follow_the_sequence_of_commits,
        events_of_a_key_are_in_sequence_under_load,
        what_is_published_is_not_read_again,
        events_since_a_time_are_published_again,
        prune_forgets_only_what_is_published_or_ended,
        what_was_taken_is_known_while_an_event_of_that_time_may_come_again,
        ended_runs_stay_while_anything_of_their_instance_goes_on,
        old_idempotency_keys_are_forgotten,
        of_a_task_that_is_done_no_copy_of_its_event_stays,
        positions_are_never_given_out_twice,
        dead_letters_are_kept_until_dropped,
        dead_letters_are_published_again_or_taken_from_the_list;
    holds:
        nothing_of_a_held_instance_begins_until_it_is_let_go_on,
        a_hold_ends_with_its_instance_and_outlives_the_process,
        only_an_unfinished_instance_is_held,
        an_event_waits_for_a_held_instance_and_for_those_that_came_before,
        no_timer_fires_while_events_wait_for_its_instance,
        what_has_waited_has_its_effect_once,
        an_instance_is_hurried_and_its_runs_that_were_set_aside_get_another_chance,
        instances_are_found_by_what_they_are,
        pages_of_what_is_sought_have_no_gap_and_no_repetition,
        a_look_ends_after_so_many_instances_and_says_where_to_go_on,
        what_a_transition_has_changed_is_told_newest_first;
    kv:
        what_components_keep_is_written_with_a_commit_or_not_at_all,
        what_is_added_at_once_is_never_lost,
        sizes_and_entries_are_those_of_each_owner,
        what_is_kept_about_an_instance_goes_with_it_and_is_kept_nowhere_else;
    finished:
        finished_instances_are_old_when_nothing_has_gone_on_for_long,
        an_instance_stays_while_an_event_of_its_time_waits,
        what_belongs_to_a_finished_instance_goes_with_it,
        an_instance_that_is_not_what_was_archived_stays;
    accounts:
        a_change_of_what_tokens_rest_on_makes_a_new_epoch,
        the_last_who_has_a_role_keeps_it_if_that_is_asked_for,
        of_many_who_take_a_role_from_each_other_one_keeps_it,
        what_another_process_has_told_of_an_account_is_kept,
        every_epoch_is_told_once,
        a_reset_is_good_once_and_for_its_time,
        another_password_and_another_email_end_the_resets_of_before,
        a_user_has_a_few_resets_at_most,
        users_are_searched_by_what_is_known_of_them_and_listed_in_pages;
    shop:
        an_email_is_taken_once_in_any_case,
        a_user_is_found_by_id_and_email,
        a_user_is_updated,
        a_user_has_the_roles_that_were_set_last,
        stock_is_initialised_once,
        what_is_held_is_told_until_it_is_sold_or_given_back,
        stock_is_never_set_below_what_is_reserved,
        stock_changes_with_its_resource_or_not_at_all,
        a_reservation_takes_all_lines_or_nothing,
        a_reservation_is_idempotent_by_its_key,
        many_clients_never_oversell,
        a_reservation_is_released_once,
        a_release_that_comes_first_ends_the_reservation,
        what_is_sold_leaves_the_warehouse,
        what_is_reserved_outlives_its_resource,
        reservations_that_ended_long_ago_are_forgotten;
    ledger:
        whatever_changes_the_stock_writes_a_move,
        a_move_by_hand_never_goes_below_what_is_reserved,
        a_count_holds_against_what_was_expected_only,
        a_move_with_a_key_is_made_once,
        a_thousand_moves_at_once_sum_up,
        prices_are_kept_by_version_and_go_with_their_resource,
        several_decisions_are_one_or_nothing;
    registry:
        a_machine_is_kept_under_its_digest,
        the_last_good_digest_of_a_component_is_kept,
        unfinished_instances_are_counted_by_their_definition,
        unfinished_instances_are_counted_by_their_owner,
        the_backlog_counts_what_waits,
        the_backlog_tells_what_is_late_and_who_kills_processes,
        a_store_that_can_write_says_so,
        epochs_grow,
        each_store_has_an_identity_that_stays,
        commits_are_counted,
        a_closed_store_answers_that_it_is_closed;
}
