"""The solution by construction (section 1): deeper nets of the same function, and fitting x."""
