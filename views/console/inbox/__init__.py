"""What providers told, what they were asked to do, the mails, and the jobs that failed."""
