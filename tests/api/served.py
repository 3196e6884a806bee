"""A served shop with something of every kind in it, made over its own API, and those who call it."""

import secrets
import time
from dataclasses import dataclass
from typing import Any

from tests.e2e.shopserver import Answer, ShopServer
from tests.security.operations import ADDRESS
from tests.security.world import PASSWORD, World, token_in

OWNER = "superuser"
STAFF_EMAIL = "owner@example.org"
WEBHOOK_SECRET = "what the fake provider of these tests signs with"
ENVIRONMENT = {
    "DJANGO_SUPERUSER_EMAIL": STAFF_EMAIL,
    "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
    "FAKE_WEBHOOK_SECRET": WEBHOOK_SECRET,
    "RATE_LIMITS": "login=off,auth=off,reset=off",  # all come from one address, as one customer
}
TOKEN_SECONDS = 120.0  # an access token lives for 300
EACH = 4
STEPS = {
    "pending": (),
    "paid": ("payments",),
    "shipped": ("payments", "shipments"),
    "delivered": ("payments", "shipments", "deliver"),
    "refunded": ("payments", "refunds"),
    "cancelled": ("cancel",),
}
BODIES = {
    "payments": {"provider": "fake", "token": "tok_ok"},
    "shipments": {"carrier": "Royal Mail", "tracking_number": "AB123456789GB"},
    "deliver": None,
    "refunds": {"reason": "a chipped spout"},
    "cancel": {"reason": "too late"},
}
MAKE_STAFF = """
from django.contrib.auth.models import Group
from shop.sharding.router import staff_home
from shop.staff.models import ROLES, StaffUser
for role in ROLES:
    account = StaffUser.objects.db_manager(staff_home()).create_user(f"{role}@example.org", "PASSWORD")
    account.groups.add(Group.objects.using(staff_home()).get(name=role))
"""
SHOW_MAIL = """
from contexts.auth.models import PasswordReset
from contexts.auth.services import write_to_customer
from shop.sharding import aliases_of
[reset] = [row for alias in aliases_of("auth") for row in PasswordReset.objects.using(alias)]
print(write_to_customer(reset.pk).text)
"""


class ServedShop:
    """The server, and what is asked of it that must be answered well."""

    def __init__(self, server: ShopServer) -> None:
        self.server = server
        made = server.manage("shell", "-c", MAKE_STAFF.replace("PASSWORD", PASSWORD))
        assert made.returncode == 0, made.stderr
        self.owner = Caller(self, OWNER, STAFF_EMAIL, staff=True)

    def desks(self) -> list["Caller"]:
        """Staff who may do a part."""
        return [Caller(self, role, f"{role}@example.org", staff=True) for role in ("catalog_editor", "order_desk")]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    def ask(self, method: str, path: str, body: Any = None, token: str = "") -> Answer:
        """A request that is answered 2xx."""
        key = secrets.token_hex(8) if method == "POST" else ""
        answer = self.server.call(method, f"/api/v1/{path}", body, token, key)
        assert 200 <= answer.status < 300, (method, path, answer.status, answer.body)
        return answer

    def post(self, path: str, body: Any, token: str = "") -> Any:
        return self.ask("POST", path, body, token).json

    def register(self, name: str) -> "Caller":
        """A new customer."""
        email = f"{name}@example.org"
        self.post("auth/register", {"email": email, "password": PASSWORD})
        return Caller(self, "customer", email)

    def reset_token(self, customer: "Caller") -> str:
        """What the mail says that this customer gets who asks for a new password."""
        self.ask("POST", "auth/password-reset", {"email": customer.email})
        shown = self.server.manage("shell", "-c", SHOW_MAIL)
        assert shown.returncode == 0, shown.stderr
        return token_in(shown.stdout)

    def category(self, **more: Any) -> str:
        return str(
            self.post("catalog/categories", {"name": f"Shelf {secrets.token_hex(4)}", **more}, self.owner.token)["id"]
        )

    def product(self, category: str) -> Any:
        sku = secrets.token_hex(4)
        variant = {"sku": sku, "price": {"amount": 1299, "currency": "GBP"}, "stock": 100_000}
        body = {"name": f"Mug {sku}", "category_id": category, "variants": [variant]}
        return self.post("catalog/products", body, self.owner.token)

    def order(self, customer: "Caller", variant: str, state: str) -> str:
        body = {"lines": [{"variant_id": variant, "quantity": 1}], "shipping_address": ADDRESS}
        order = str(self.post("ordering/orders", body, customer.token)["id"])
        for step in STEPS[state]:
            by = customer if step in ("payments", "cancel") else self.owner
            self.post(f"ordering/orders/{order}/{step}", BODIES[step], by.token)
        return order


@dataclass
class Caller:
    """Somebody with an account, or, without an e-mail address, nobody in particular."""

    shop: ServedShop
    name: str
    email: str = ""
    staff: bool = False
    _token: str = ""
    _until: float = 0.0

    @property
    def token(self) -> str:
        """An access token that will last; empty for nobody."""
        if self.email and time.monotonic() > self._until:
            self._token, self._until = self.sign_in()["access"], time.monotonic() + TOKEN_SECONDS
        return self._token

    def renew(self) -> None:
        """Have the next token last as long as one can."""
        self._until = 0.0
        assert self.token or not self.email

    def may(self, roles: list[str]) -> bool:
        """Whether the document lets this caller in; it names no roles where everybody may come."""
        if not roles or not self.staff:
            return not roles or self.name in roles
        return bool({"staff", self.name} & set(roles)) or (self.name == OWNER and roles != ["customer"])

    def sign_in(self) -> Any:
        door = "auth/staff/token" if self.staff else "auth/token"
        return self.shop.post(door, {"email": self.email, "password": PASSWORD})


def make_world(shop: ServedShop) -> World:
    """What the good request of every operation is about; used by nothing else."""
    customer, other = shop.register("ada"), shop.register("grace")
    category = shop.category()
    product = shop.product(category)
    sold = product["variants"][0]["id"]
    shop.ask("PUT", f"ordering/cart/lines/{sold}", {"quantity": 2}, customer.token)
    return World(
        customer=customer.token,
        other=other.token,
        staff=shop.owner.token,
        email=customer.email,
        staff_email=STAFF_EMAIL,
        refresh=customer.sign_in()["refresh"],
        other_refresh=customer.sign_in()["refresh"],
        reset=shop.reset_token(other),
        category=category,
        empty_category=shop.category(),
        product=product["id"],
        variant=sold,
        address=shop.post("auth/me/addresses", ADDRESS, customer.token)["id"],
        pending=shop.order(customer, sold, "pending"),
        to_cancel=shop.order(customer, sold, "pending"),
        paid=shop.order(customer, sold, "paid"),
        shipped=shop.order(customer, sold, "shipped"),
        theirs={},
    )


def make_known(shop: ServedShop, customer: Caller) -> dict[str, list[Any]]:
    """Values that mean something here, by the name of the field or the parameter that takes them."""
    categories = [shop.category() for _ in range(EACH)]
    products = [shop.product(category) for category in categories * 3]
    variants = [product["variants"][0]["id"] for product in products]
    orders = [shop.order(customer, variants[number], state) for state in STEPS for number in range(EACH)]
    unfinished = shop.order(customer, variants[0], "pending")
    payment = {"provider": "fake", "token": "tok_action"}
    payments = [shop.post(f"ordering/orders/{unfinished}/payments", payment, customer.token)["id"]]
    empty = [shop.category(parent_id=categories[0]) for _ in range(2 * EACH)]
    pages = [
        shop.ask("GET", path, token=customer.token).json["next_cursor"]
        for path in ("catalog/products?limit=1", "catalog/categories?limit=1", "ordering/orders?limit=1")
    ]
    return {
        "address_id": [shop.post("auth/me/addresses", ADDRESS, customer.token)["id"] for _ in range(2 * EACH)],
        "category_id": [*categories, *empty],
        "parent_id": [None, *categories],
        **dict.fromkeys(("parent", "category"), categories),
        "product_id": [product["id"] for product in products],
        "variant_id": variants,
        "ids": [",".join(variants[:number]) for number in range(1, EACH)],
        "order_id": [*orders, unfinished],
        "payment_id": payments,
        "customer_id": [shop.ask("GET", "auth/me", token=customer.token).json["id"]],
        "cursor": pages,
        "refresh": [customer.sign_in()["refresh"] for _ in range(3 * EACH)],
        "email": [customer.email, STAFF_EMAIL, *(f"new-{number}@example.org" for number in range(EACH))],
        "password": [PASSWORD],
        "provider": ["fake"],
        "token": ["tok_ok", "tok_declined", "tok_action", "tok_timeout"],
        "quantity": [1, 2, 3],
        "currency": ["GBP"],
        "amount": [1, 100, 1_299],
    }
