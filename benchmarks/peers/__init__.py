"""The same conversations through our client and through others'."""
