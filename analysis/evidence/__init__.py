"""What runs say: the paper's claims and verdicts, what is missing for them, which runs go together.

Torch-free: tables and configs in, verdicts and requests out.
"""
