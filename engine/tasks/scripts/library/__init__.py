"""What Python scripts of flows can import; copied into their working directory."""
