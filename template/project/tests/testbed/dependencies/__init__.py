"""One module for each dependency: how it is addressed, checked and started."""
