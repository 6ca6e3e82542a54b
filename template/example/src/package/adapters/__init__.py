"""One module for each thing outside the shop; `memory` stands in for all of them."""
