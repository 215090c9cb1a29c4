"""Support's work: purchases that wait for their owner, from the list to the undone claim."""
