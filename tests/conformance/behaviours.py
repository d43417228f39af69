"""The rows that take more than one exchange: a fact about the protocol, and the tests that prove it.

A test is named by its file below ``tests`` and its name, as pytest writes them.
"""

from typing import NamedTuple


class Behaviour(NamedTuple):
    """A fact about a protocol, and its proofs."""

    fact: str
    proofs: tuple[str, ...]
    ours: bool = False


_V2_USERS = "emulator_v2/test_v2_sessions.py::TestUsers"

V1 = (
    Behaviour(
        "Every request carries `X-Tenant-ID`, the version in `User-Agent` and a new `X-Request-ID`.",
        (
            "http/test_sender_requests.py::test_each_request_has_its_own_request_id",
            "behaviour/test_outages.py::test_what_a_refresh_sends",
        ),
    ),
    Behaviour(
        "Unknown fields are ignored. Ids and tokens are opaque.",
        (
            "wire/test_wire_tokens.py::test_unknown_fields_are_ignored",
            "wire/test_wire_tokens.py::test_opaque_access_token_says_nothing",
        ),
    ),
    Behaviour(
        "An error is understood in both documented shapes and their neighbours. Any other body is not"
        " the service's.",
        (
            "wire/test_wire_errors.py::test_error_is_understood_in_every_shape",
            "ways_in/test_refusals.py::test_every_refusal_is_a_typed_error",
        ),
    ),
    Behaviour(
        "A wrong key or tenant is an error that names the setting. The service's rules for passwords are"
        " quoted.",
        (
            "wire/test_wire_errors.py::test_wrong_setting_is_named",
            "wire/test_wire_errors.py::test_rules_of_the_service_are_quoted",
        ),
    ),
    Behaviour(
        "Durations are written as a number and a unit, and times in ISO 8601 with or without milliseconds.",
        (
            "test_duration.py::test_each_unit_is_read",
            "wire/test_wire_tokens.py::test_end_of_the_session_is_read_in_every_spelling",
        ),
    ),
    Behaviour(
        "A refresh rotates the refresh token. A rotated token that comes again revokes the session.",
        ("emulator/test_rules.py::TestRefreshing::test_a_rotated_token_revokes_the_whole_session",),
    ),
    Behaviour(
        "A session ends after its duration, and after the idle timeout. Refreshes count as activity.",
        (
            "emulator/test_rules.py::TestRefreshing::test_a_session_past_its_duration_is_over",
            "emulator/test_rules.py::TestRefreshing::test_a_session_idle_too_long_is_over",
            "behaviour/test_session_ends.py::test_session_in_use_never_idles_out",
        ),
    ),
    Behaviour(
        "A revoked session refuses the next refresh. Its access tokens work until they expire, except"
        " for `verify_token_remote`.",
        (
            "emulator/test_rules.py::TestEnding::test_revoking_refuses_the_next_refresh",
            "server_side/test_verification.py::test_remote_check_sees_a_revocation",
        ),
    ),
    Behaviour(
        "Over `max_sessions_per_user`, a sign-in revokes the session that was active the longest time ago.",
        ("emulator/test_rules.py::TestCap::test_over_the_cap_the_least_active_session_ends",),
        ours=True,
    ),
    Behaviour(
        "A duration that was asked for is capped by the tenant's. The client keeps the shorter one.",
        (
            "emulator/test_rules.py::TestSigningIn::test_a_longer_duration_is_capped",
            "behaviour/test_remember_me.py::test_tenant_limit_shows_in_the_session",
            "behaviour/test_session_ends.py::test_longer_session_is_ended_by_the_client",
        ),
        ours=True,
    ),
    Behaviour(
        "500, 502 and a lost answer to a refresh: the same token once more, after a second. Still "
        "without an answer, the session is kept.",
        (
            "behaviour/test_outages.py::test_lost_request_is_sent_once_more",
            "behaviour/test_outages.py::test_service_that_stays_broken",
            "behaviour/test_outages.py::test_lost_answer_within_a_grace_window",
            "behaviour/test_outages.py::test_lost_answer_without_a_grace_window",
        ),
    ),
    Behaviour(
        "429 and 503 to a refresh are waited for where the wait is short. The session is kept.",
        (
            "behaviour/test_outages.py::test_service_that_asks_for_a_wait",
            "behaviour/test_outages.py::test_retry_after_zero",
        ),
    ),
    Behaviour(
        "Access tokens are verified with EdDSA or RS256, issuer, audience and tenant. The token's own"
        " algorithm, key and addresses are ignored.",
        (
            "verify/test_attacks.py::test_an_algorithm_that_is_not_the_keys_is_refused",
            "verify/test_attacks.py::test_embedded_keys_and_addresses_are_ignored",
            "verify/test_attacks.py::test_wrong_claims_are_refused_with_their_reason",
        ),
    ),
    Behaviour(
        "Claims are read in every spelling: `session_id` and `sid`, `role` and `roles`, custom claims"
        " at the top or in `custom`.",
        ("verify/test_shapes.py::test_each_spelling_is_read",),
    ),
    Behaviour(
        "Refused by name, before anything is sent: `password_policy`, service tokens, sign-in with a browser"
        " without a provider, second factors without a secret key.",
        (
            "ways_in/test_passwords.py::test_password_policy",
            "ways_in/test_service_tokens.py::test_v1_has_no_service_tokens",
            "ways_in/test_browser.py::test_server_without_a_login_page",
            "wire/test_wire_second_factors.py::test_v1_refuses_enrolments_without_a_secret_key",
        ),
    ),
    Behaviour(
        "Keys are kept for at least five minutes, and never fetched more than once in 30 seconds.",
        (
            "verify/test_key_set.py::test_fresh_keys_are_fetched_once",
            "verify/test_key_set.py::test_unknown_kids_fetch_once_in_30_seconds",
        ),
    ),
)

V2 = (
    Behaviour(
        "Tenant and client are sent together in every body that takes them, and the tenant in "
        "`X-Tenant-ID`. A sign-in without them would be an administrator's.",
        (
            "wire/test_wire_v2_calls.py::test_sign_in_names_tenant_and_client",
            "emulator_v2/test_v2_sessions.py::TestUsers::test_a_sign_in_without_a_tenant_is_an_administrator_s",
        ),
    ),
    Behaviour(
        "`expires_in` may be 0, or one less than the token's life. The token counts then.",
        (
            "wire/test_wire_v2_calls.py::test_life_of_zero_is_read_from_the_token",
            "emulator_v2/test_v2_sessions.py::TestLives::test_expires_in_is_one_less_than_the_life",
            "ways_in/test_bad_input.py::test_life_of_zero_seconds",
        ),
    ),
    Behaviour(
        "The client's own token lives count from the first refresh on.",
        ("emulator_v2/test_v2_sessions.py::TestLives::test_a_client_s_lives_count_from_the_first_refresh",),
    ),
    Behaviour(
        "`Retry-After` is rounded down to 0: it has a floor of a second.",
        (
            "wire/test_wire_outcomes.py::test_a_wait_of_zero_has_a_floor_on_v2",
            "ways_in/test_bad_input.py::test_wait_of_zero_seconds",
        ),
    ),
    Behaviour(
        "An outage of the database looks like the end of a session. The session is kept, and works "
        "afterwards.",
        (
            "ways_in/test_outages_v2.py::test_outage_that_looks_like_an_end",
            "real_server/test_real_outages.py::test_outage_keeps_the_session",
            "real_server/test_real_outages.py::test_restart_under_load",
        ),
    ),
    Behaviour(
        "A deleted user's session looks like an outage, and is over after the second look.",
        (
            "ways_in/test_outages_v2.py::test_real_end_is_believed",
            "emulator_v2/test_v2_outages.py::test_a_deleted_user_is_told_from_an_outage",
        ),
    ),
    Behaviour(
        "In an outage, a sign-in is refused like a wrong password, and a link like an old one. A "
        "sign-out is confirmed although nothing happened.",
        (
            "real_server/test_real_outages.py::test_sign_in_in_an_outage",
            "emulator_v2/test_v2_outages.py::test_sign_in_and_links_are_refused_as_if_wrong",
            "real_server/test_real_outages.py::test_sign_out_in_an_outage",
        ),
    ),
    Behaviour(
        "Rotation, sign-out, revocation and a disabled user are refused alike, with reuse detection "
        "and without. None of them is called theft.",
        (
            "ways_in/test_outages_v2.py::test_revoked_session_is_not_called_theft",
            "emulator_v2/test_v2_sessions.py::TestReuseDetection::test_every_revoked_token_is_called_reused",
        ),
    ),
    Behaviour(
        "The server does not protect a refresh token that is presented twice at once. Clients share "
        "one refresh.",
        (
            "real_server/test_real_sessions.py::test_threads_over_an_expiry",
            "real_server/test_real_sessions.py::test_tasks_over_an_expiry",
            "real_server/test_real_sessions.py::test_clients_on_one_store_share_a_refresh",
        ),
    ),
    Behaviour(
        "The server knows no duration and no idle timeout. The client ends the session, and signs it "
        "out at the server.",
        (
            "real_server/test_real_sessions.py::test_end_that_the_client_keeps",
            "ways_in/test_outages_v2.py::test_idle_session_is_ended_by_the_client",
            "emulator_v2/test_v2_sessions.py::TestRotation::test_a_session_has_no_end_while_it_is_refreshed",
        ),
    ),
    Behaviour(
        "Tokens of one second have one text. The generation tells the newer one.",
        (
            "wire/test_wire_v2_calls.py::test_tokens_of_one_second_are_equal",
            "emulator_v2/test_v2_sessions.py::TestRotation::test_two_tokens_of_one_second_are_one_text",
        ),
    ),
    Behaviour(
        "A tenant has three issuers and two ids, and no other is accepted. The UUID is asked for once.",
        (
            "verify/test_shapes.py::test_v2_accepts_three_issuers_and_two_tenant_ids",
            "verify/test_shapes.py::test_v2_accepts_no_other",
            "verify/test_shapes.py::test_v2_asks_for_the_tenants_uuid_once",
            "real_server/test_real_sessions.py::test_tokens_are_verified",
        ),
    ),
    Behaviour(
        "Scopes are spelt in four ways.",
        (
            "emulator_v2/test_v2_tokens.py::test_scopes_are_spelt_in_four_ways",
            "verify/test_shapes.py::test_each_spelling_is_read",
        ),
    ),
    Behaviour(
        "A new key is published up to 15 seconds late. Its tokens are accepted within 31 seconds.",
        (
            "emulator_v2/test_v2_tokens.py::test_a_new_key_is_published_late",
            "verify/test_key_set.py::test_a_new_key_is_accepted_within_31_seconds",
        ),
    ),
    Behaviour(
        "A user who registers is signed in, also where the next sign-in needs a verified address.",
        (f"{_V2_USERS}::test_registering_signs_in_although_sign_in_would_refuse",),
    ),
    Behaviour(
        "A challenge of a second factor lives for five minutes, survives wrong codes, and works once."
        " A used code is refused.",
        (
            "ways_in/test_bad_input.py::test_forty_wrong_codes",
            "ways_in/test_bad_input.py::test_challenge_that_was_answered",
            "emulator_v2/test_v2_second_factors.py::TestChallenge::test_it_ends_after_five_minutes",
            "emulator_v2/test_v2_second_factors.py::TestChallenge::test_the_enrolling_code_cannot_sign_in",
        ),
    ),
    Behaviour(
        "Enrolling again ends the old authenticator app at once: it is refused without `replace=True`.",
        (
            "emulator_v2/test_v2_second_factors.py::TestEnrolment::test_enrolling_again_kills_the_old_app",
            "wire/test_wire_second_factors.py::test_second_app_needs_replace",
        ),
    ),
    Behaviour(
        "A remembered device is kept beside the session, and spares the code for 30 days.",
        (
            "ways_in/test_factor_calls.py::test_remembered_device_needs_no_second_factor",
            "emulator_v2/test_v2_second_factors.py::TestRememberedDevice::test_it_needs_no_second_factor_for_30_days",
        ),
    ),
    Behaviour(
        "A reset ends the sessions of this client, and signs no user in.",
        ("real_server/test_real_ways_in.py::test_reset_by_mail",),
    ),
    Behaviour(
        "A service asks for one token, however many callers it has. A wrong secret or scope is an error of"
        " the settings.",
        (
            "real_server/test_real_ways_in.py::test_service_token",
            "real_server/test_real_ways_in.py::test_refused_service",
        ),
    ),
    Behaviour(
        "The server does not say that it could not send a mail.",
        ("real_server/test_real_ways_in.py::test_mail_server_that_is_down",),
    ),
    Behaviour(
        "A redirect address is compared as a text. An error in the browser carries no state.",
        (
            "emulator_v2/test_v2_browser_sign_in.py::TestCodes::test_redirect_addresses_are_compared_as_texts",
            "ways_in/test_browser.py::test_error_without_a_state_ends_after_a_grace",
        ),
    ),
    Behaviour(
        "The published server refuses every code of a browser sign-in, and cannot enroll an "
        "authenticator app.",
        (
            "real_server/test_real_ways_in.py::test_published_server_refuses_codes",
            "real_server/test_real_ways_in.py::test_published_server_cannot_enroll_an_app",
        ),
    ),
    Behaviour(
        "A token in an address, as of `verify_email`, is shown in no log line.",
        ("http/test_sender_secrecy.py::test_debug_logs_show_no_secret",),
    ),
    Behaviour(
        "Writing a client replaces it: it is written whole and read back.",
        (
            "emulator_v2/test_v2_back_ends.py::TestClients::test_a_put_replaces_the_whole_client",
            "wire/test_wire_admin.py::test_v2_writes_the_client_whole_and_reads_it_back",
        ),
    ),
    Behaviour(
        "Refused by name, before anything is sent: magic links, `change_password`, sign-in through a "
        "provider, lists of sessions, `verify_token_remote`, `idle_timeout` and "
        "`max_sessions_per_user`.",
        (
            "real_server/test_real_sessions.py::test_refused_by_name",
            "ways_in/test_links.py::test_magic_links_are_refused_by_name",
            "verify/test_remote.py::test_v2_refuses_by_name",
            "wire/test_wire_admin.py::test_v2_refuses_what_it_cannot_know",
        ),
    ),
    Behaviour(
        "Answers that were recorded from a running server are understood, each one.",
        (
            "wire/test_wire_recordings.py::test_every_recorded_answer_is_understood",
            "emulator_v2/test_recordings.py::test_the_answer_is_the_recorded_one",
        ),
    ),
)
