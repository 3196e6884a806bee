"""Staff accounts, groups, sessions: the same tables in every home. Contexts' admins come in here."""
