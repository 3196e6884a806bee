"""What requests may say. The views come in here."""

from typing import Any, Final

from contexts.auth.domain import MAX_EMAIL, MAX_LINE, MAX_NAME, MAX_PASSWORD, MAX_POSTAL_CODE, MIN_PASSWORD
from shop.http.drf import Body, CountryField, Secret, Text

PASSWORD: Final = f"{MIN_PASSWORD} to {MAX_PASSWORD} characters; not one that everybody uses."


class RegisterIn(Body):
    email = Text(allow_blank=True)
    password = Secret(help_text=PASSWORD)
    name = Text(allow_blank=True, required=False, default="", max_length=MAX_NAME)


class CredentialsIn(Body):
    email = Text(allow_blank=True)
    password = Secret()


class RefreshIn(Body):
    refresh = Secret()


class ResetIn(Body):
    email = Text(allow_blank=True, max_length=MAX_EMAIL)


class ConfirmResetIn(Body):
    token = Secret(help_text="From the mail.")
    new_password = Secret(help_text=PASSWORD)


class MeIn(Body):
    name = Text(allow_blank=True, required=False, max_length=MAX_NAME)


class EraseIn(Body):
    password = Secret(help_text="The caller's own.")


class PasswordIn(Body):
    current_password = Secret()
    new_password = Secret(help_text=PASSWORD)


class AddressIn(Body):
    """What ordering takes as a ``shipping_address``, no more and no less."""

    name = Text(max_length=MAX_LINE)
    line1 = Text(max_length=MAX_LINE)
    line2 = Text(max_length=MAX_LINE, allow_null=True, required=False)
    city = Text(max_length=MAX_LINE)
    region = Text(max_length=MAX_LINE, allow_null=True, required=False)
    postal_code = Text(max_length=MAX_POSTAL_CODE)
    country = CountryField()


class AddressChange(AddressIn):
    """Any of an address's fields; what is not there stays."""

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        for field in fields.values():
            field.required = False
        return fields
