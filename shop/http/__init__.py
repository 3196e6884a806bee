"""What every public API shares: problems, Idempotency-Key, paging, IDs. The contexts' `api` comes in here."""
