"""The same shop without its middlewares: what a request costs that is only answered."""

from scripts.benches.settings import *  # noqa: F403  all of them

MIDDLEWARE = ["scripts.benches.bare.only_the_caller"]
SILENCED_SYSTEM_CHECKS = ["admin.E408", "admin.E409", "admin.E410"]  # the admin needs some, and nobody opens it here
