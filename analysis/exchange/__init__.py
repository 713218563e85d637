"""What comes from other programs and goes to them. `logs` reads curves; it knows no torch."""
