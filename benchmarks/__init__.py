"""Measures what the template promises about speed and memory. Start with __main__.py."""
