"""What every public API shares: problems, Idempotency-Key, paging, IDs in requests. The contexts' `api` comes in here."""
