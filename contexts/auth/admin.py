"""Auth for staff, in Django admin."""
