"""Whole stories from one command: the demonstration, an evaluation with its page, the paper's table and figures."""
