"""What every call to a provider goes through and every answer is read by: guard, time, circuit, tokens, odd input."""
