"""The mail server of the demo and its pages."""
