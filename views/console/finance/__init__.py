"""What finance opens every morning, and the months that it closes."""
