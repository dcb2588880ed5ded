"""What people will see, without an account: the platforms' payloads drawn as HTML in their own look. Pure."""
