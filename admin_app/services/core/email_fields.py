"""E-mail addresses as people type them into forms and callers send them."""

from email_validator import EmailNotValidError, validate_email

from admin_app.errors import InvalidInput


def clean_email(text: str, *, field: str = "email") -> str:
    """The address in the form it is kept; refused with a sentence when it is none."""
    try:
        # `test_environment` lets the reserved `.test` domain in, as providers and the claim do.
        return validate_email(text.strip(), check_deliverability=False, test_environment=True).normalized.lower()
    except (EmailNotValidError, UnicodeError, ValueError):
        sentence = "This is not an e-mail address. Write it like name@example.com."
        raise InvalidInput(sentence, fields={field: sentence}) from None
