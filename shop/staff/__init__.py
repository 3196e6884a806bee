"""Staff accounts, groups, sessions: migrated into every home, the same in every process. Contexts' admins come in here."""
