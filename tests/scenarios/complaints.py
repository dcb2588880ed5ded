"""What people complain about in chat bots that run workflows and ask for approvals, and what shows that ours is cured.

Every complaint has the tests that show its cure, or the reason why a bot cannot cure it, or what is still missing.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Complaint:
    """One complaint; exactly one of the last three says how it stands."""

    number: int
    said: str
    tests: tuple[str, ...] = ()  # path::test_name
    cannot: str = ""
    open: str = ""


BATCHES = "tests/bot/test_batches.py::test_"
CARDS = "tests/bot/test_cards.py::test_"
COMMANDS = "tests/bot/test_commands.py::test_"
EVERY_WORD = "tests/scenarios/test_every_word.py::test_"
HELP = "tests/bot/test_help.py::test_"
MESSAGES = "tests/bot/test_messages.py::test_"
DECISIONS = "tests/bot/test_decisions.py::test_"
ELIGIBILITY = "tests/bot/test_eligibility.py::test_"
FOUR_EYES = "tests/bot/test_four_eyes.py::test_"
LADDER = "tests/bot/test_ladder.py::test_"
MODES = "tests/bot/test_room_modes.py::test_"
OUTBOX = "tests/bot/test_outbox.py::test_"
PACING = "tests/bot/test_pacing.py::test_"
RESTART = "tests/bot/test_restart.py::test_"
ROLES = "tests/bot/test_roles.py::test_"
TIERS = "tests/bot/test_risk_tiers.py::test_"
VOTES = "tests/bot/test_votes.py::test_"
WAITING = "tests/bot/test_waiting_cards.py::test_"
DISCORD = "tests/discord/test_client.py::test_"
DISCORD_DESK = "tests/discord/test_real_desk.py::test_"
DISCORD_WIRE = "tests/discord/test_wire.py::test_"
SLACK = "tests/slack/test_front_end.py::test_"
SLACK_BOT = "tests/slack/test_whole_bot.py::test_"
SLACK_DELIVERY = "tests/slack/test_delivery.py::test_"
SLACK_FORMS = "tests/slack/test_forms.py::test_"
SLACK_HTTP = "tests/slack/test_http.py::test_"
SLACK_MANIFEST = "tests/slack/test_manifest.py::test_"
PAGE = "tests/web/test_page.py::test_"

COMPLAINTS = (
    # Buttons that leave chat, or lie
    Complaint(
        1,
        "Approving opens a page, and then the same request comes again and again.",
        (
            SLACK_BOT + "a_run_is_started_asked_about_and_approved",
            DISCORD_DESK + "a_flow_from_its_form_to_its_end",
        ),
    ),
    Complaint(
        2,
        "A press is answered with a word about an app that was not set up for it.",
        (SLACK_MANIFEST + "socket_mode_needs_no_address", SLACK_MANIFEST + "every_call_has_its_scope"),
    ),
    Complaint(
        3,
        "One press should do, the card should say who pressed, and then offer nothing more.",
        (
            SLACK_BOT + "a_run_is_started_asked_about_and_approved",
            CARDS + "a_decided_pause_names_who_and_where_and_has_no_answers_left",
        ),
    ),
    Complaint(
        4,
        "Buttons show raw data in a browser and can still be pressed after the decision.",
        (
            SLACK_BOT + "a_run_is_started_asked_about_and_approved",
            PAGE + "a_run_is_answered_on_its_page_without_script",
        ),
    ),
    Complaint(
        5,
        "The preview of a link visited the addresses for yes and no, and so decided by itself.",
        (
            PAGE + "following_every_link_of_a_waiting_run_decides_nothing",
            PAGE + "no_get_changes_anything",
            "tests/web/test_visits.py::test_a_link_opens_the_page_as_the_person_once",
        ),
    ),
    Complaint(
        6,
        "The wait is passed over, and a caller who waits gets an answer before there is one.",
        (PAGE + "a_webhook_that_waits_is_answered_when_the_question_is",),
    ),
    Complaint(
        7,
        "A run that waits should say so in chat.",
        (
            DECISIONS + "a_run_is_announced_where_it_was_started_and_its_pause_too",
            OUTBOX + "a_run_nobody_started_in_chat_asks_in_the_default_rooms_and_both_cards_follow",
        ),
    ),
    Complaint(
        8,
        "Letting a paused run go on takes too many steps.",
        (
            DECISIONS + "approving_resumes_and_every_card_names_who_and_where",
            DECISIONS + "a_choice_is_a_button_a_value",
        ),
    ),
    Complaint(
        9,
        "Whoever lets a run go on should be able to give it values.",
        (
            DECISIONS + "answer_in_form_keeps_what_is_typed_when_it_is_refused",
            DECISIONS + "a_command_may_answer_everything_at_once",
        ),
    ),
    Complaint(
        10,
        "A deployment should be approved by one button in chat.",
        (
            SLACK_BOT + "a_run_is_started_asked_about_and_approved",
            DISCORD_DESK + "a_flow_from_its_form_to_its_end",
        ),
    ),
    Complaint(
        11,
        "A press is not received, and the platform shows a warning because nobody acknowledged it.",
        (
            SLACK + "what_the_desk_has_kept_is_acknowledged_whatever_its_answer_takes",
            SLACK + "many_commands_at_once_are_all_acknowledged",
            "tests/scenarios/test_acknowledged.py::test_what_was_acknowledged_counts_once_after_a_kill",
            DISCORD_WIRE + "a_click_on_anything_is_answered",
        ),
    ),
    # Twice, lost, or the wrong one
    Complaint(
        12,
        "What a button does happens several times.",
        (
            SLACK + "a_redelivered_click_counts_once_and_is_shown_once",
            DECISIONS + "the_same_delivery_twice_counts_once_and_gets_the_same_answer",
        ),
    ),
    Complaint(
        13,
        "One press must count once, and a press after the end must say that it came too late.",
        (
            DECISIONS + "a_click_after_the_end_is_told_who_was_first",
            DECISIONS + "a_run_stopped_while_a_card_waits",
        ),
    ),
    Complaint(
        14,
        "A double press did it twice.",
        (
            DECISIONS + "twenty_at_once_make_one_effect",
            DECISIONS + "two_people_at_once_on_two_platforms_make_one_effect",
        ),
    ),
    Complaint(
        15,
        "Approving the second card of a thread decided the first one.",
        (WAITING + "of_two_cards_in_one_thread_the_pressed_one_is_decided",),
    ),
    Complaint(
        16,
        "The first press after a restart is swallowed, and who may not decide hears nothing.",
        (
            DECISIONS + "a_click_after_a_restart_counts",
            DISCORD_WIRE + "cards_and_modals_from_before_a_restart_work",
            ELIGIBILITY + "members_of_a_group_decide_and_others_are_told_whom_to_ask",
        ),
    ),
    Complaint(
        17,
        "Duplicates are told by the workspace, which fails in an organisation and in shared channels.",
        (SLACK + "a_redelivery_that_names_another_workspace_counts_once",),
    ),
    Complaint(
        18,
        "A later edit of the message wiped who had decided.",
        (WAITING + "what_happens_later_does_not_wipe_who_decided",),
    ),
    Complaint(
        19,
        "Two waits at the same time have the same id on their buttons.",
        (WAITING + "two_pauses_of_one_run_at_once_are_told_apart",),
    ),
    Complaint(
        20,
        "The question was answered in chat, but the run never went on.",
        (
            DECISIONS + "approving_resumes_and_every_card_names_who_and_where",
            RESTART + "killed_while_deciding_and_never_delivered_again",
        ),
    ),
    Complaint(
        21,
        "Nobody remembers having approved it, and nothing shows what was on the card.",
        (
            VOTES + "what_the_card_said_is_kept_as_a_hash_with_each_vote_and_the_decision",
            "tests/bot/test_evidence.py::test_each_vote_is_kept_with_what_its_own_card_said",
            "tests/bot/test_audit.py::test_everything_that_happens_to_a_run",
            "tests/store/test_audit_chain.py::test_any_column_of_any_row",
        ),
    ),
    Complaint(
        22,
        "Of two pauses in a row the second one cannot be answered.",
        (WAITING + "the_second_of_two_pauses_in_a_row_has_buttons_of_its_own",),
    ),
    # Who may
    Complaint(
        23,
        "Nobody should be able to approve what they started themselves.",
        (ELIGIBILITY + "who_started_a_run_does_not_approve_it",),
    ),
    Complaint(
        24,
        "Administrators must not get around the second pair of eyes.",
        (TIERS + "four_eyes_bind_administrators_too",),
    ),
    Complaint(
        25,
        "Administrators want to approve their own requests where they only try things.",
        (TIERS + "a_policy_may_let_people_approve_themselves_where_they_try_things",),
    ),
    Complaint(
        26,
        "Whoever made or last changed a thing must not approve it, whatever program they use.",
        (
            ELIGIBILITY + "who_started_a_run_does_not_approve_it",
            ELIGIBILITY + "who_changed_the_flow_last_does_not_approve_it",
        ),
    ),
    Complaint(
        27,
        "The second pair of eyes is asked for at some doors only.",
        (
            FOUR_EYES + "by_button_and_by_form",
            FOUR_EYES + "by_command_in_every_room",
            FOUR_EYES + "by_the_inbox",
            FOUR_EYES + "in_a_batch",
            FOUR_EYES + "in_a_batch_it_counts_when_the_button_is_pressed",
            FOUR_EYES + "nobody_hands_it_to_whoever_asked",
            FOUR_EYES + "by_the_engines_own_door",
            PAGE + "programs_and_the_page_ask_for_a_second_pair_of_eyes",
            "tests/scenarios/test_run_command.py::test_who_started_a_run_does_not_approve_it_here_either",
        ),
    ),
    Complaint(
        28,
        "The person who ran it should not be among those who approve it.",
        (
            ELIGIBILITY + "who_started_a_run_does_not_approve_it",
            ELIGIBILITY + "four_eyes_know_a_person_on_another_platform",
        ),
    ),
    Complaint(
        29,
        "Rights should follow the person who types, and help should show only what they may do.",
        (
            ROLES + "a_run_needs_a_role_and_its_values",
            ROLES + "lists_help_and_completion_show_what_one_may_do",
        ),
    ),
    Complaint(
        30,
        "Anybody in the channel can approve a release.",
        (ELIGIBILITY + "members_of_a_group_decide_and_others_are_told_whom_to_ask",),
    ),
    Complaint(
        31,
        "What is more dangerous should need more people.",
        (
            TIERS + "low_risk_asks_nobody_and_high_risk_asks_two",
            VOTES + "it_is_decided_exactly_when_enough_different_people_say_the_same",
        ),
    ),
    Complaint(
        32,
        "So many questions come that people approve without reading.",
        (
            TIERS + "low_risk_asks_nobody_and_high_risk_asks_two",
            BATCHES + "all_requests_of_a_flow_are_approved_together_once_they_were_shown",
        ),
    ),
    Complaint(
        33,
        "Several approvals can only be built from several questions joined, and that fails.",
        (
            VOTES + "it_is_decided_exactly_when_enough_different_people_say_the_same",
            VOTES + "the_second_vote_decides_and_every_card_shows_the_meter",
        ),
    ),
    # Time
    Complaint(
        34,
        "While one is away a question turns into a no.",
        (WAITING + "a_pause_without_a_deadline_waits_for_weeks", LADDER + "silence_may_mean_to_wait_on"),
    ),
    Complaint(
        35,
        "Five minutes to answer are built in.",
        (
            WAITING + "a_pause_without_a_deadline_waits_for_weeks",
            DISCORD_WIRE + "cards_and_modals_from_before_a_restart_work",
        ),
    ),
    Complaint(
        36,
        "By default a question waits for seconds only.",
        (WAITING + "a_pause_without_a_deadline_waits_for_weeks",),
    ),
    Complaint(
        37,
        "A question in a direct message was over before anybody saw it.",
        (
            WAITING + "a_pause_without_a_deadline_waits_for_weeks",
            LADDER + "those_who_may_decide_are_reminded_each_where_they_are",
        ),
    ),
    Complaint(
        38,
        "What nobody answered in time should be told apart from a no.",
        (
            DECISIONS + "a_click_at_the_deadline_is_late_and_silence_is_told_on_the_card",
            DECISIONS + "a_click_after_the_deadline_is_late_whether_the_end_was_noted_or_not",
        ),
    ),
    Complaint(
        39,
        "An end was set, but nothing ever ends.",
        (
            LADDER + "what_silence_means_is_the_flows_or_the_policys_word",
            LADDER + "what_the_policy_says_of_silence_survives_the_death_of_the_process",
        ),
    ),
    Complaint(
        40,
        "A time to answer within is shown, but nothing happens when it is over.",
        (
            LADDER + "escalation_lets_others_decide_and_shows_them_the_card",
            LADDER + "a_reminder_survives_the_death_of_the_process_and_comes_once",
        ),
    ),
    Complaint(
        41,
        "How does one hand a question on to others when nobody answers?",
        (LADDER + "escalation_lets_others_decide_and_shows_them_the_card", LADDER + "a_colleague_decides_instead"),
    ),
    Complaint(
        42,
        "Silence should be a yes where one says so.",
        (LADDER + "what_silence_means_is_the_flows_or_the_policys_word",),
    ),
    Complaint(
        43,
        "The time to answer runs before the question has been sent.",
        (
            "tests/bot/test_late_questions.py::test_a_question_nobody_could_see_gets_its_whole_time_once_it_is_shown",
            "tests/bot/test_late_questions.py::test_the_new_end_is_the_end_also_after_a_restart",
        ),
    ),
    Complaint(
        44,
        "An answer that does not fit fails the run, and nobody is asked again.",
        (
            DECISIONS + "answer_in_form_keeps_what_is_typed_when_it_is_refused",
            DECISIONS + "the_flows_own_rules_are_told_beside_the_field",
        ),
    ),
    # What is typed and shown
    Complaint(
        45,
        "There are no buttons and no forms, only text.",
        (
            SLACK_BOT + "a_form_starts_a_run_and_a_rejection_says_why",
            SLACK_FORMS + "each_type_has_its_element",
            DISCORD + "a_command_without_its_input_opens_a_form_and_the_form_starts_the_run",
        ),
    ),
    Complaint(
        46,
        "The address for late answers ends after a while, and then a press or a command is answered by nothing.",
        (
            SLACK + "an_expired_answer_address_falls_back",
            SLACK + "a_click_on_a_private_message_replaces_it",
        ),
    ),
    Complaint(
        47,
        "A workflow should be started from chat, with its inputs asked for.",
        (
            COMMANDS + "a_missing_input_opens_the_form_with_what_was_typed",
            SLACK_BOT + "a_form_starts_a_run_and_a_rejection_says_why",
        ),
    ),
    Complaint(
        48,
        "Commands with a slash cannot be given in threads.",
        (
            SLACK + "mentions_are_commands_in_threads",
            SLACK + "shortcuts_start_a_run_with_a_message",
            EVERY_WORD + "to_the_bot_by_name_on_discord",
            MESSAGES + "a_message_is_run_through_a_form",
        ),
    ),
    Complaint(
        49,
        "The answer should come in the thread where one asked.",
        (
            SLACK + "mentions_are_commands_in_threads",
            SLACK + "a_click_in_a_thread_is_answered_there",
            OUTBOX + "rooms_of_workspaces_with_threads_are_apart",
        ),
    ),
    Complaint(
        50,
        "Long output floods the channel; it should be a file.",
        (
            SLACK + "a_long_transcript_comes_as_a_file_in_the_direct_conversation",
            SLACK_DELIVERY + "far_too_much_becomes_a_file",
            DISCORD + "a_long_log_comes_as_a_file",
        ),
    ),
    Complaint(
        51,
        "Output is cut at the platform's limit, and the rest is lost.",
        (
            SLACK_DELIVERY + "what_does_not_fit_continues_in_the_thread",
            "tests/slack/test_views.py::test_nothing_is_lost_on_the_way_to_the_thread",
            "tests/discord/test_views.py::test_any_card_is_taken_and_nothing_is_lost",
        ),
    ),
    Complaint(
        52,
        "The log of a failed run should be seen in chat.",
        (COMMANDS + "status_and_logs_of_a_failed_run",),
    ),
    Complaint(
        53,
        "Let us choose whether messages go into threads or into the channel.",
        (
            MODES + "in_a_thread_the_questions_and_the_log_of_a_run_lie_below_its_card",
            MODES + "all_has_the_questions_beside_the_card_and_the_log_below_it",
            MODES + "off_tells_whoever_started_a_run_that_it_failed",
            SLACK_BOT + "a_channel_may_have_everything_of_a_run_in_the_thread_of_its_card",
            DISCORD_DESK + "a_room_may_have_everything_of_a_run_in_the_thread_of_its_card",
        ),
    ),
    Complaint(
        54,
        "Help lists commands that the bot then does not understand.",
        (
            COMMANDS + "help_lists_only_commands_that_are_understood",
            HELP + "every_example_can_be_typed",
            HELP + "what_the_documentation_says_to_type_is_understood",
            HELP + "a_flag_a_command_does_not_have_is_refused_and_nothing_done",
            EVERY_WORD + "on_slack",
            EVERY_WORD + "on_discord",
            EVERY_WORD + "on_the_page",
        ),
    ),
    # The platforms
    Complaint(
        55,
        "Events over a socket come minutes late; several connections at once are advised.",
        (
            "tests/slack/test_sockets.py::test_events_are_heard_over_any_of_them_and_once",
            "tests/slack/test_sockets.py::test_while_one_is_lost_the_others_hear_and_it_comes_back",
        ),
    ),
    Complaint(
        56,
        "Events are delivered again, up to three times.",
        (
            SLACK_HTTP + "a_retry_is_counted_once",
            SLACK + "a_redelivery_after_a_restart_is_answered_with_the_stored_answer",
            DECISIONS + "the_same_delivery_twice_counts_once_and_gets_the_same_answer",
        ),
    ),
    Complaint(
        57,
        "Edits of messages older than an hour are limited, and nobody says how much.",
        (
            "tests/discord/test_refusals.py::test_an_old_message_that_may_not_be_edited_now_holds_up_no_other",
            "tests/discord/test_refusals.py::test_the_end_is_shown_although_an_edit_was_refused",
            OUTBOX + "a_platform_that_was_down_while_it_was_decided_shows_the_end_at_once",
            DISCORD_DESK + "the_pressed_card_changes_by_its_own_click",
        ),
    ),
    Complaint(
        58,
        "Live messages must be spaced to the limits, and a form that opens late is refused.",
        (
            PACING + "discord_counts_by_channel_and_heeds_a_hold",
            PACING + "one_message_is_not_edited_twice_in_two_seconds_for_progress",
            DISCORD + "a_slow_desk_is_waited_for_and_a_form_then_comes_as_a_button",
        ),
    ),
)
