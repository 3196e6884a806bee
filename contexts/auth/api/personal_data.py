"""What auth answers when it is asked about a customer's data. `apps` provides it."""

from collections.abc import Mapping

from contexts.auth import services
from contexts.auth.api.shown import address_json, customer_json, sign_in_json
from contexts.auth.contract import AuthPersonalData
from shop.contract import Json
from shop.http.rendering import moment


class PersonalDataOfAuth(AuthPersonalData):
    """Implements `contexts.auth.contract.AuthPersonalData`."""

    def export(self, *, customer_id: str) -> Mapping[str, Json]:
        """The account, its addresses, its sign-ins, a token for a new password."""
        stored = services.stored_about(customer_id=int(customer_id))
        if stored is None:
            return {}
        return {
            "account": customer_json(stored.account),
            "addresses": [address_json(each) for each in stored.addresses],
            "sign_ins": [sign_in_json(each) for each in stored.sign_ins],
            "password_reset": {"expires_at": moment(reset)} if (reset := stored.reset_expires_at) else None,
        }

    def erase(self, *, customer_id: str) -> None:
        """What the erasure of the account has left."""
        services.erase_what_is_left(customer_id=int(customer_id))
