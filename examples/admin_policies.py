"""The settings of a tenant's sessions: three policies, a warning, and the sessions of a user.

It runs without an account, against an emulator of the service in the same process:

    pip install '.[emulator]'
    python examples/admin_policies.py

A real program has no emulator: ``HelloJohn()`` reads ``HELLOJOHN_TENANT_ID`` and ``HELLOJOHN_SECRET_KEY``.
It runs on a server, because the secret key must not be in an app that users install.
"""

import warnings

from hellojohn import HelloJohn, PolicyWarning, SessionExpired, SessionPolicy
from hellojohn.emulator import DEMO_EMAIL, DEMO_PASSWORD, Emulator

POLICIES = {
    "Remember me": SessionPolicy.STANDARD,
    "Banking": SessionPolicy.HIGH_SECURITY,
    "Enterprise": SessionPolicy.COMPLIANCE,
}


def show_policies(hj: HelloJohn) -> None:
    """Set each policy, and then a setting that defeats another one."""
    for name, policy in POLICIES.items():
        print(f"{name}: {hj.admin.config.update(policy)}")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PolicyWarning)
        hj.admin.config.update(access_token_ttl="1h")
    print("Warning:", caught[0].message)
    hj.admin.config.update(SessionPolicy.STANDARD)


def show_sessions(hj: HelloJohn) -> None:
    """Sign in on two devices, end one session, and see which one goes on."""
    laptop, phone = hj.for_account("laptop"), hj.for_account("phone")
    for device in (laptop, phone):
        session = device.auth.sign_in(DEMO_EMAIL, DEMO_PASSWORD)
    print("Sessions:", len(list(hj.sessions.list(user_id=session.user.id, status="active"))))
    hj.sessions.revoke(session.id)
    for device in (laptop, phone):
        try:
            device.auth.refresh()
            print(f"{device.account}: still signed in")
        except SessionExpired as error:
            print(f"{device.account}: {error.reason}")


def main() -> None:
    """Show both against an emulator."""
    with (
        Emulator() as emulator,
        HelloJohn(
            tenant_id=emulator.tenant_id,
            publishable_key=emulator.publishable_key,
            secret_key=emulator.secret_key,
            api_url=emulator.url,
        ) as hj,
    ):
        show_policies(hj)
        show_sessions(hj)


if __name__ == "__main__":
    main()
