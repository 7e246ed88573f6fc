"""What is in the topics: the form of each message, and its limits."""
