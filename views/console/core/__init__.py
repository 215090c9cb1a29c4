"""What every room stands on, shown: whether the machinery around the product is as it must be."""
