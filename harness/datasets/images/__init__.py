"""Image sets, and what generators make of them."""
