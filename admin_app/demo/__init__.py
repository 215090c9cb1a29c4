"""An invented business: the same for the same seed, with dates relative to the day of the fill."""
