"""What is sold by time: the forms of practitioners and session types, and the week calendar."""
