"""The paths of v1 that no document of the service names, and the documents' own paths beside them."""

UNPUBLISHED = {
    "sign_out": "/v1/auth/sign-out",
    "send_mfa_code": "/v1/mfa/send",
    "verify_magic_link": "/v1/auth/magic-link/verify",
    "confirm_password_reset": "/v1/auth/password/reset",
    "send_email_verification": "/v1/auth/email/verify/send",
    "verify_email": "/v1/auth/email/verify",
    "revoke_all": "/v1/sessions",
}
"""Assumptions of the SDK. An error from one of them says so (``errors.refusal``, ``assumed_path``)."""
