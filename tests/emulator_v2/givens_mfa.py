"""The states before the recordings of second factors."""

from tests.emulator_v2.givens import given
from tests.emulator_v2.named import PASSWORD
from tests.emulator_v2.world import World


@given("signin/mfa.totp.enroll")
def signed_in_to_mended_server(world: World) -> None:
    """Ana is signed in, and the server has its key for second factors."""
    world.switch(mended=True)
    world.sign_in(client="web-acme")


@given("signin/mfa.totp.enroll.again", "signin/mfa.totp.verify.*")
def enrolling(world: World) -> None:
    """Ana's authenticator app is not confirmed yet."""
    world.enroll()
    world.known["code"] = world.code()


@given(
    *("signin/mfa.factors.totp", "signin/mfa.totp.enroll.when_enabled", "signin/mfa.login.required"),
    *("signin/mfa.totp.verify.again_next_code", "signin/mfa.preference.*", "signin/mfa.recovery.rotate.*"),
    "signin/mfa.totp.disable.*",
)
def enrolled(world: World) -> None:
    """Ana has an authenticator app."""
    world.confirm()


@given("signin/mfa.totp.verify.same_code_again")
def confirmed_just_now(world: World) -> None:
    """Ana's app was confirmed with the code of this half minute."""
    world.enroll()
    world.known["code"] = world.code()
    world.post("/v2/mfa/totp/verify", {"code": world.known["code"]}, **world.bearer())


@given("signin/mfa.totp.verify.after_re_enroll")
def enrolled_again(world: World) -> None:
    """Ana has enrolled a second app in place of the first."""
    world.confirm()
    world.post("/v2/mfa/totp/enroll", {}, **world.bearer())
    world.known["code"] = world.code()


@given(
    *("signin/mfa.totp.challenge.*", "signin/mfa.recovery.challenge.*", "signin/mfa.email.*"),
    *("signin/mfa.sms.*", "signin/mfa.remember_device.challenge"),
)
def challenged(world: World) -> None:
    """Ana has an authenticator app, and has signed in as far as that."""
    world.challenge()
    world.known["uuid"] = world.tenant().id


@given("signin/mfa.totp.challenge.used_mfa_token")
def answered(world: World) -> None:
    """The challenge was answered."""
    challenged(world)
    assert world.answer(code=world.known["code"]).status_code == 200


@given("signin/mfa.totp.challenge.same_code_twice")
def code_used_elsewhere(world: World) -> None:
    """The code has answered another challenge."""
    answered(world)
    world.begin()


@given("signin/mfa.totp.challenge.previous_step_code")
def code_of_last_step(world: World) -> None:
    """The code is of the half minute before the last one that was used."""
    challenged(world)
    old = world.known["code"]
    world.advance(seconds=30)
    assert world.answer(code=world.code()).status_code == 200
    world.begin()
    world.known["code"] = old


@given("signin/mfa.totp.challenge.code_with_spaces")
def code_with_spaces(world: World) -> None:
    """The code is written in two groups."""
    challenged(world)
    fresh = world.known["code"]
    world.known["code"] = f"{fresh[:3]} {fresh[3:]}"


@given("signin/mfa.totp.challenge.expired")
def challenge_is_over(world: World) -> None:
    """The challenge is five minutes old."""
    challenged(world)
    world.advance(minutes=5)
    world.known["code"] = world.code()


@given("signin/mfa.recovery.challenge.in_code_field")
def recovery_code_as_code(world: World) -> None:
    """A recovery code is sent as a code."""
    challenged(world)
    world.known["code"] = world.known["recovery"]


@given("signin/mfa.recovery.challenge.lower_case")
def recovery_code_in_lower_case(world: World) -> None:
    """A recovery code is written in lower case."""
    challenged(world)
    world.known["recovery"] = world.known["recovery"].lower()


@given("signin/mfa.recovery.challenge.twice")
def used_recovery_code(world: World) -> None:
    """The recovery code was used."""
    challenged(world)
    assert world.answer(recovery=world.known["recovery"]).status_code == 200
    world.begin()


@given("signin/mfa.recovery.challenge.rotated_away")
def old_recovery_code(world: World) -> None:
    """Ana has new recovery codes, and uses an old one."""
    challenged(world)
    proof = {"password": PASSWORD, "code": world.known["code"]}
    world.post("/v2/mfa/recovery/rotate", proof, **world.bearer())


@given("signin/mfa.recovery.limited", "signin/mfa.totp.challenge.while_recovery_limited")
def too_many_recovery_codes(world: World) -> None:
    """Ana has mistyped too many recovery codes."""
    challenged(world)
    answers = [world.answer(recovery="AAAAAAAAAA").status_code for _ in range(12)]
    assert answers[-1] == 429


@given("signin/mfa.login.required.preferred_email")
def prefers_email(world: World) -> None:
    """Ana prefers codes by mail."""
    world.confirm()
    body = {"factor": "email"}
    headers = {name.replace("_", "-"): value for name, value in world.bearer().items()}
    assert world.http.put("/v2/mfa/factors/preference", json=body, headers=headers).status_code == 200


@given("signin/mfa.email.challenge.wrong_code", "signin/mfa.email.challenge.ok")
def code_mailed(world: World) -> None:
    """A code was mailed to Ana, and she has mistyped it once."""
    challenged(world)
    world.send_code()
    assert world.answer("email", code="not it").status_code == 401


@given("signin/mfa.email.challenge.used")
def mailed_code_used(world: World) -> None:
    """The mailed code was used."""
    code_mailed(world)
    assert world.answer("email", code=world.known["code"]).status_code == 200


@given("signin/mfa.email.send.limited")
def too_many_mails(world: World) -> None:
    """Five codes were mailed within an hour."""
    challenged(world)
    for _ in range(5):
        world.send_code()


@given("signin/mfa.remember_device.login")
def remembered_device(world: World) -> None:
    """Ana's device is remembered."""
    challenged(world)
    answer = world.answer(code=world.known["code"], remember_device=True)
    assert answer.status_code == 200
    world.known["cookie __Host-hj-trusted"] = answer.headers["set-cookie"].partition(";")[0].partition("=")[2]
    world.http.cookies.clear()


@given("signin/mfa.totp.disable.twice", "signin/mfa.factors.after_disable")
def disabled(world: World) -> None:
    """Ana's authenticator app was disabled."""
    world.confirm()
    proof = {"password": PASSWORD, "recovery": world.known["recovery"]}
    world.post("/v2/mfa/totp/disable", proof, **world.bearer())
