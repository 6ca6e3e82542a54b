"""How the shop is reached from outside."""
