"""What catalog adds to the settings."""

from shop.addresses import mail_address
from shop.settings import Env, Fragment


def fragment(env: Env) -> Fragment:
    """Who is told what is sold out; nobody, where it is empty."""
    return Fragment(values={"STOCK_EMAIL": env.checked("STOCK_EMAIL", mail_address, "")})
