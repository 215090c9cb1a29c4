"""WorkOS: guests as users with an organization of their own."""
