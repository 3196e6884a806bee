"""The admin's own sign-in, under the same limit as the API's. `admin` comes in."""

from typing import Any, override

from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError

from shop.http.limits import RateLimitedError, SignInAttempts
from shop.staff.accounts import KIND


class SignInForm(AdminAuthenticationForm):
    """Counts what fails."""

    @override
    def clean(self) -> dict[str, Any]:
        attempts = SignInAttempts(kind=KIND, account=self.cleaned_data.get("username") or "")
        try:
            attempts.admit()
            try:
                return super().clean()
            except ValidationError:
                attempts.failed()
                raise
        except RateLimitedError as error:
            raise ValidationError(f"Too many sign-ins have failed: {error.detail}.", code=error.code) from None
