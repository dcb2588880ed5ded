"""Forms: what is asked of people, what they typed, and drafts that lose nothing of it."""
