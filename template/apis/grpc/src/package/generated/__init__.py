"""Made by proto/generate.py: edit proto/*.proto instead."""
