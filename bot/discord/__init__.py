"""Discord: pure renderers and readers (`views`, `payloads`), and a client that carries them out (`client`)."""
