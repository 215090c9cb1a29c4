"""People with an account, their verified addresses, and the commands that correct them."""
