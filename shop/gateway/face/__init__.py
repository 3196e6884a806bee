"""The services of the hosted contexts over HTTP, for other processes of the shop: `/_svc/<context>/v1/<method>`.

Made from the contracts by django-ninja. Mounted only where some context lives elsewhere, and never routed from outside.
"""

from shop.gateway.face.mounting import mount_face

__all__ = ["mount_face"]
