"""What catalog adds to the settings."""

from shop.settings import Env, Fragment, mail_address


def fragment(env: Env) -> Fragment:
    """Who is told what is sold out; nobody, where it is empty."""
    return Fragment(values={"STOCK_EMAIL": env.checked("STOCK_EMAIL", mail_address, "")})
