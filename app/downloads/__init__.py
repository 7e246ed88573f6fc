"""Downloads of podcasts, counted by rules that can be read: IAB Tech Lab Podcast Measurement Technical Guidelines 2.3."""
