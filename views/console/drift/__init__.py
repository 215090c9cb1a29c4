"""Comparisons with providers: runs, differences, and the decisions about them."""
