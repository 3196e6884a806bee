"""The admin's pages of events: what stands, and what to do about it. `config` puts them below the admin."""
