"""Questions to a clickstream, the events of users: which articles were liked, and who came back."""
