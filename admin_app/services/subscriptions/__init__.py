"""Stripe subscriptions, before anybody asks what for: what one means, and whose it is.

Owns no table; the rows are those of the room `billing`.
Others call `billing_mapping`, which is pure, and `owners`.
"""
