"""Runs over many clients: choosing, looking at the plan, watching, stopping, putting back."""
