"""Who may do what, as the API promises it to clients: written by hand from its pages, not from the route table.

One line per operation: what each caller is answered who asks for it with a good request about a customer's own things.

- ``nobody``  sends no token
- ``owner``   the customer whose address, order or cart it is; where nothing is owned, a customer
- ``other``   another customer
- ``editor``, ``desk``, ``reader``, ``super``  staff: catalog_editor, order_desk, read_only, superuser
- ``norole``  a staff account without any role
- ``expired`` shows an access token whose five minutes are over
"""

from dataclasses import dataclass

CALLERS = ("nobody", "owner", "other", "editor", "desk", "reader", "super", "norole", "expired")
TABLE = """
                                                     nobody owner other editor desk reader super norole expired
auth     POST   /register                               201   201   201    201  201    201   201    201     201
auth     POST   /token                                  200   200   200    200  200    200   200    200     200
auth     POST   /staff/token                            200   200   200    200  200    200   200    200     200
auth     POST   /token/refresh                          200   200   200    200  200    200   200    200     200
auth     POST   /token/revoke                           204   204   204    204  204    204   204    204     204
auth     POST   /password-reset                         202   202   202    202  202    202   202    202     202
auth     POST   /password-reset/confirm                 204   204   204    204  204    204   204    204     204
auth     GET    /me                                     401   200   200    403  403    403   403    403     401
auth     PATCH  /me                                     401   200   200    403  403    403   403    403     401
auth     DELETE /me                                     401   204   204    403  403    403   403    403     401
auth     GET    /me/export                              401   200   200    403  403    403   403    403     401
auth     POST   /me/password                            401   204   204    403  403    403   403    403     401
auth     GET    /me/addresses                           401   200   200    403  403    403   403    403     401
auth     POST   /me/addresses                           401   201   201    403  403    403   403    403     401
auth     PATCH  /me/addresses/{address_id}              401   200   404    403  403    403   403    403     401
auth     DELETE /me/addresses/{address_id}              401   204   404    403  403    403   403    403     401
catalog  GET    /categories                             200   200   200    200  200    200   200    200     401
catalog  GET    /categories/{category_id}               200   200   200    200  200    200   200    200     401
catalog  POST   /categories                             401   403   403    201  403    403   201    403     401
catalog  PATCH  /categories/{category_id}               401   403   403    200  403    403   200    403     401
catalog  DELETE /categories/{category_id}               401   403   403    204  403    403   204    403     401
catalog  GET    /products                               200   200   200    200  200    200   200    200     401
catalog  GET    /products/{product_id}                  200   200   200    200  200    200   200    200     401
catalog  GET    /products/{product_id}#draft            404   404   404    200  200    200   200    404     401
catalog  POST   /products                               401   403   403    201  403    403   201    403     401
catalog  PATCH  /products/{product_id}                  401   403   403    200  403    403   200    403     401
catalog  DELETE /products/{product_id}                  401   403   403    204  403    403   204    403     401
catalog  POST   /products/{product_id}/variants         401   403   403    201  403    403   201    403     401
catalog  GET    /variants                               200   200   200    200  200    200   200    200     401
catalog  PATCH  /variants/{variant_id}                  401   403   403    200  403    403   200    403     401
catalog  GET    /variants/{variant_id}/stock            401   403   403    200  200    200   200    403     401
catalog  POST   /variants/{variant_id}/stock/adjustments 401  403   403    201  403    403   201    403     401
catalog  GET    /variants/{variant_id}/stock/movements  401   403   403    200  200    200   200    403     401
ordering GET    /cart                                   401   200   200    403  403    403   403    403     401
ordering PUT    /cart/lines/{variant_id}                401   200   200    403  403    403   403    403     401
ordering DELETE /cart                                   401   204   204    403  403    403   403    403     401
ordering POST   /cart/checkout                          401   201   201    403  403    403   403    403     401
ordering POST   /orders                                 401   201   201    403  403    403   403    403     401
ordering GET    /orders                                 401   200   200    200  200    200   200    403     401
ordering GET    /orders/{order_id}                      401   200   404    200  200    200   200    403     401
ordering GET    /orders/{order_id}/timeline             401   200   404    200  200    200   200    403     401
ordering POST   /orders/{order_id}/payments             401   201   404    403  403    403   403    403     401
ordering POST   /orders/{order_id}/cancel               401   200   404    403  200    403   200    403     401
ordering POST   /orders/{order_id}/shipments            401   403   403    403  201    403   201    403     401
ordering POST   /orders/{order_id}/deliver              401   403   403    403  200    403   200    403     401
ordering POST   /orders/{order_id}/refunds              401   403   403    403  201    403   201    403     401
ordering POST   /payments/webhooks/{provider}           200   200   200    200  200    200   200    200     200
-        GET    /.well-known/jwks.json                  200   200   200    200  200    200   200    200     200
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line: an operation, at something in a certain state where that matters, and each caller's status."""

    method: str
    path: str
    state: str
    expected: dict[str, int]

    def __str__(self) -> str:
        return f"{self.method:7}{self.path}" + (f" ({self.state})" if self.state else "")

    @property
    def operation(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def owned(self) -> bool:
        """Whether its path names a thing that belongs to a customer."""
        return "{address_id}" in self.path or "{order_id}" in self.path


def rows() -> list[Row]:
    return [_row(line) for line in TABLE.strip().splitlines()[1:]]


def _row(line: str) -> Row:
    context, method, path, *statuses = line.split()
    path, _, state = path.partition("#")
    expected = dict(zip(CALLERS, map(int, statuses), strict=True))
    root = "" if context == "-" else f"/api/v1/{context}"
    return Row(method=method, path=root + path, state=state, expected=expected)


def code(caller: str, status: int) -> str:
    """The problem's code, where a caller is refused."""
    if status == 401:
        return "token_expired" if caller == "expired" else "not_authenticated"
    return {403: "forbidden", 404: "not_found"}[status]
