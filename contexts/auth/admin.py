"""Staff screens of auth."""

from contexts.auth.models import AccountSessions, Address, Customer, PasswordReset, RefreshToken, TokenFamily
from shop.staff.screens import show

show(Customer, "email", "name", "created_at", hidden=("password",))
show(Address, "customer_id", "name", "city", "country", "created_at")
show(TokenFamily, "account_id", "role", "created_at", "expires_at", "revoked_at")
show(RefreshToken, "family_id", "used_at", hidden=("secret_hash",))
show(AccountSessions, "event_seq")
show(PasswordReset, "customer_id", "expires_at", hidden=("secret_hash",))
