"""Commands: the words people type after `/flow`, and what each does."""
