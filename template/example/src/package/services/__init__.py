"""What the shop does, whatever it runs on."""
