"""Purchases: profiles and waiting purchases, claims with evidence and undo, and the numbers behind them."""
