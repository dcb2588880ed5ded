"""People: which accounts are one person, what each may do, and how they come to the page."""
